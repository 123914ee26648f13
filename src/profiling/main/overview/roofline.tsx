import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { drawOnCanvas } from '../../../experiments/charts/drawing/canvas';
import { readLook } from '../../../experiments/charts/drawing/colors';
import { savePng } from '../../../experiments/charts/files';
import { ActionButton } from '../../../core';
import { formatNumber } from '../../../core/palette';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IOperatorWork, IRoofline } from '../../service';
import { useRedraw } from '../redraw';
import { peakWords } from '../messages';

import type { IDrawnWork } from './roofline-picture';
import { placedWorks, rooflinePicture, workAt } from './roofline-picture';

const HEIGHT_PX = 260;
const PNG_WIDTH_PX = 900;
const PNG_HEIGHT_PX = 480;

/** How near operators come to what their device can do. Their figures are in the table of operators by shapes. */
export function RooflineChart(props: {
  roofline: IRoofline;
  trans: TranslationBundle;
}): React.ReactElement {
  const { roofline, trans } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const works = React.useRef<IDrawnWork[]>([]);
  const [tip, setTip] = React.useState('');
  const title = trans.__('Roofline of the operators');

  const made = React.useCallback(
    (node: HTMLElement, width: number, height: number) => {
      const style = getComputedStyle(node);
      const look = readLook(node);
      const picture = rooflinePicture({
        roofline,
        width,
        height,
        look,
        colorOf: bound =>
          style.getPropertyValue(`--gol-part-${partOf(bound)}`).trim() ||
          look.accent,
        trans
      });
      return { ...picture, look };
    },
    [roofline, trans]
  );
  const draw = React.useCallback(() => {
    const node = host.current;
    if (node && canvas.current && node.clientWidth > 0) {
      const picture = made(node, node.clientWidth, HEIGHT_PX);
      works.current = picture.works;
      drawOnCanvas(
        canvas.current,
        picture.scene,
        picture.look,
        window.devicePixelRatio || 1
      );
    }
  }, [made]);
  useRedraw(host, draw);

  return (
    <figure className="gol-TimeBars gol-Roofline">
      <div ref={host} className="gol-TimeBars-host">
        <canvas
          ref={canvas}
          role="img"
          style={{ height: HEIGHT_PX }}
          aria-label={`${title}: ${placedWorks(roofline)
            .slice(0, 5)
            .map(work => workWords(work, trans).replace(/\n/g, ', '))
            .join('; ')}`}
          title={tip}
          onMouseMove={({ nativeEvent: { offsetX, offsetY } }) => {
            const work = workAt(works.current, offsetX, offsetY);
            setTip(work ? workWords(work, trans) : '');
          }}
        />
      </div>
      <figcaption className="gol-TimeBars-foot">
        <ul className="gol-TimeBars-legend" aria-hidden="true">
          <li>
            <span style={{ background: 'var(--gol-part-compute)' }} />
            {trans.__('Bound by arithmetic')}
          </li>
          <li>
            <span style={{ background: 'var(--gol-part-memory)' }} />
            {trans.__('Bound by memory')}
          </li>
          <li>{trans.__('The larger, the more device time')}</li>
        </ul>
        <ActionButton
          label={trans.__('PNG')}
          caption={trans.__('Save “%1” as a PNG', title)}
          onClick={() => {
            const { scene, look } = made(
              host.current!,
              PNG_WIDTH_PX,
              PNG_HEIGHT_PX
            );
            void savePng(scene, look, title);
          }}
        />
      </figcaption>
      <p className="gol-Profile-quiet">{peakWords(roofline, trans)}</p>
    </figure>
  );
}

function partOf(bound: IOperatorWork['bound']): string {
  return bound === 'memory' ? 'memory' : 'compute';
}

function workWords(work: IOperatorWork, trans: TranslationBundle): string {
  return trans.__(
    '%1\n%2 of device time\n%3 TFLOP/s at %4 FLOPs a byte: %5 of what is attainable',
    `${work.name} ${work.shapes}`,
    formatMicroseconds(work.device_us),
    formatNumber(work.tflops),
    formatNumber(work.intensity),
    formatShare(work.share, 1)
  );
}
