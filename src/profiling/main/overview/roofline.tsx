import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { readLook } from '../../../core/charts/look';
import { savePng } from '../../../core/charts/files';
import type { ILook } from '../../../core/charts/scene';
import { ActionButton, useScene } from '../../../core';
import { formatNumber } from '../../../core/format';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IOperatorWork, IRoofline } from '../../service';
import { peakWords } from '../messages';

import type { IDrawnWork } from './roofline-picture';
import { placedWorks, rooflinePicture, workAt } from './roofline-picture';

const HEIGHT_PX = 260;
const PNG_WIDTH_PX = 900;
const PNG_HEIGHT_PX = 480;

/**
 * Operators compared with the peak of their device. The table of operators by
 * shapes has the figures.
 */
export function RooflineChart(props: {
  roofline: IRoofline;
  trans: TranslationBundle;
}): React.ReactElement {
  const { roofline, trans } = props;
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const works = React.useRef<IDrawnWork[]>([]);
  const [tip, setTip] = React.useState('');
  const title = trans.__('Roofline of the operators');

  const made = (width: number, height: number, look: ILook) => {
    const style = getComputedStyle(canvas.current!);
    return rooflinePicture({
      roofline,
      width,
      height,
      look,
      colorOf: bound =>
        style.getPropertyValue(`--gol-part-${partOf(bound)}`).trim() ||
        look.accent,
      trans
    });
  };
  useScene(
    canvas,
    React.useCallback(
      (width, look) => {
        const picture = made(width, HEIGHT_PX, look);
        works.current = picture.works;
        return picture.scene;
      },
      [roofline, trans]
    )
  );

  return (
    <figure className="gol-TimeBars gol-Roofline" aria-label={title}>
      <div className="gol-TimeBars-host">
        <canvas
          ref={canvas}
          role="img"
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
          <li>{trans.__('Larger points have more device time')}</li>
        </ul>
        <ActionButton
          label={trans.__('PNG')}
          caption={trans.__('Save “%1” as a PNG image', title)}
          onClick={() => {
            const look = readLook(canvas.current!);
            const { scene } = made(PNG_WIDTH_PX, PNG_HEIGHT_PX, look);
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
    '%1\n%2 of device time\n%3 TFLOP/s at %4 FLOPs per byte: %5 of the attainable rate',
    `${work.name} ${work.shapes}`,
    formatMicroseconds(work.device_us),
    formatNumber(work.tflops),
    formatNumber(work.intensity),
    formatShare(work.share, 1)
  );
}
