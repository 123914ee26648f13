import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatBytes } from '../../../core';
import { onThemeChange } from '../../../core/palette';
import { formatMicroseconds } from '../../figures';
import type { IDeviceMemory } from '../memory-strip';
import { heldAt, outlineIn } from '../memory-strip';
import type { TimelineModel } from '../model';

const HEIGHT_PX = 44;

/** Memory of a device below the lanes; it pans and zooms with them. */
export function MemoryStrip(props: {
  device: IDeviceMemory;
  model: TimelineModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { device, model, trans } = props;
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const [tip, setTip] = React.useState('');
  React.useEffect(() => {
    const node = canvas.current!;
    let frame = 0;
    const later = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        if (model.visible) {
          draw(node, device, model);
        }
      });
    };
    model.drawn.connect(later, later);
    const endTheme = onThemeChange(later);
    later();
    return () => {
      cancelAnimationFrame(frame);
      model.drawn.disconnect(later, later);
      endTheme();
    };
  }, [device, model]);
  const name =
    device.device < 0
      ? trans.__('Memory of the host')
      : trans.__('Memory, device %1', device.device);
  const peak = trans.__('up to %1', formatBytes(device.peak));
  return (
    <div className="gol-Timeline-memory">
      <div
        className="gol-Timeline-memory-head"
        title={trans.__(
          'What was allocated while it was recorded and is still held'
        )}
      >
        <span>{name}</span>
        <span>{peak}</span>
      </div>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${name}: ${peak}`}
        title={tip}
        onMouseMove={({ nativeEvent: { offsetX } }) => {
          const us = (model.view.start + offsetX * model.view.nsPerPx) / 1000;
          setTip(
            trans.__(
              '%1 at %2',
              formatBytes(heldAt(device.timeline ?? [], us)),
              formatMicroseconds(Math.max(0, us))
            )
          );
        }}
      />
    </div>
  );
}

function draw(
  node: HTMLCanvasElement,
  device: IDeviceMemory,
  { view }: TimelineModel
): void {
  const context = node.getContext('2d');
  if (!context || view.width === 0) {
    return;
  }
  const ratio = window.devicePixelRatio || 1;
  node.width = Math.round(view.width * ratio);
  node.height = Math.round(HEIGHT_PX * ratio);
  context.scale(ratio, ratio);
  const points = device.timeline ?? [];
  const most = points.reduce((sum, { bytes }) => Math.max(sum, bytes), 1);
  context.beginPath();
  context.moveTo(0, HEIGHT_PX);
  // A line's width of room, so that the peak is seen.
  for (const [x, y] of outlineIn(points, view, HEIGHT_PX - 2, most)) {
    context.lineTo(x, y + 2);
  }
  context.lineTo(view.width, HEIGHT_PX);
  context.fillStyle = getComputedStyle(node).color;
  context.fill();
}
