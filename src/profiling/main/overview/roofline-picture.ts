/**
 * Operators on the roofline of their device, as marks on two logarithmic axes.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import { axes, frameIn, numberScale } from '../../../core/charts/axes';
import type { ILook, IScene, Mark } from '../../../core/charts/scene';
import { LETTER_PX, fitted } from '../../../core/charts/scene';
import type { IOperatorWork, IRoofline } from '../../service';

const LEAST_RADIUS_PX = 3;
const MOST_RADIUS_PX = 12;
/** Operators with most time whose names are drawn. */
const NAMED = 3;

/** A drawn operator. */
export interface IDrawnWork {
  readonly work: IOperatorWork;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** The operators with a place on the roofline, most time first. */
export function placedWorks({ operators, peaks }: IRoofline): IOperatorWork[] {
  const dtypes = new Set(peaks.map(({ dtype }) => dtype));
  return operators
    .filter(
      ({ dtype, intensity, tflops }) =>
        dtypes.has(dtype) && intensity > 0 && tflops > 0
    )
    .sort((one, other) => other.device_us - one.device_us);
}

/**
 * The attainable TFLOP/s at an intensity: first limited by bandwidth, then by
 * arithmetic.
 */
export function attainable(
  peak: IRoofline['peaks'][number],
  intensity: number
): number {
  return Math.min(peak.tflops, (peak.gb_per_s * intensity) / 1000);
}

export function rooflinePicture(options: {
  roofline: IRoofline;
  width: number;
  height: number;
  look: ILook;
  colorOf: (bound: IOperatorWork['bound']) => string;
  trans: TranslationBundle;
}): { scene: IScene; works: IDrawnWork[] } {
  const { roofline, width, height, look, colorOf, trans } = options;
  const { peaks } = roofline;
  const shown = placedWorks(roofline);
  const frame = frameIn(width, height);
  const across = domainOf([
    ...shown.map(({ intensity }) => intensity),
    ...peaks.map(({ tflops, gb_per_s }) => (1000 * tflops) / gb_per_s)
  ]);
  const x = numberScale('log', across, [frame.left, frame.left + frame.width]);
  const y = numberScale(
    'log',
    domainOf([
      ...shown.map(({ tflops }) => tflops),
      ...peaks.map(({ tflops }) => tflops)
    ]),
    [frame.top + frame.height, frame.top]
  );
  const names = {
    x: trans.__('FLOPs per byte'),
    y: trans.__('TFLOP/s')
  };
  const marks: Mark[] = axes(frame, x, y, names, look);
  for (const peak of peaks) {
    const ridge = (1000 * peak.tflops) / peak.gb_per_s;
    const corners = [across[0], ridge, across[1]];
    marks.push(
      {
        kind: 'line',
        x: corners.map(x.at),
        y: corners.map(each => y.at(attainable(peak, each))),
        width: 2,
        color: look.text,
        clipped: true
      },
      {
        kind: 'text',
        x: frame.left + frame.width - 4,
        y: y.at(peak.tflops) - 9,
        text: `${peak.model}, ${peak.dtype}`,
        align: 'end',
        color: look.text
      }
    );
  }
  const most = shown[0]?.device_us ?? 1;
  const works = shown.map(work => ({
    work,
    x: x.at(work.intensity),
    y: y.at(work.tflops),
    radius: Math.max(
      LEAST_RADIUS_PX,
      MOST_RADIUS_PX * Math.sqrt(work.device_us / most)
    )
  }));
  for (const each of works) {
    marks.push({
      kind: 'points',
      x: [each.x],
      y: [each.y],
      radius: each.radius,
      color: colorOf(each.work.bound),
      opacity: 0.65
    });
  }
  marks.push(...namesOf(works, frame.left + frame.width, look));
  return { scene: { width, height, frame, marks }, works };
}

/**
 * The operator at a position of the picture; of two overlapping ones, the
 * smaller.
 */
export function workAt(
  works: readonly IDrawnWork[],
  x: number,
  y: number
): IOperatorWork | undefined {
  return works
    .filter(each => Math.hypot(each.x - x, each.y - y) <= each.radius + 2)
    .pop()?.work;
}

/** Names of the largest operators, without overlaps. */
function namesOf(
  works: readonly IDrawnWork[],
  right: number,
  look: ILook
): Mark[] {
  const written: IDrawnWork[] = [];
  for (const each of works.slice(0, NAMED)) {
    if (written.every(other => Math.abs(other.y - each.y) > 14)) {
      written.push(each);
    }
  }
  return written.map(({ work, x, y, radius }) => {
    const text = fitted(work.name, 200);
    const fits = x + radius + 8 + text.length * LETTER_PX < right;
    return {
      kind: 'text',
      x: fits ? x + radius + 4 : x - radius - 4,
      y,
      text,
      align: fits ? 'start' : 'end',
      color: look.text
    };
  });
}

/** From half of the smallest to twice the largest. */
function domainOf(values: readonly number[]): [number, number] {
  return [Math.min(...values) / 2, Math.max(...values) * 2];
}
