import type { ILook, IScene, Mark } from './scene';
import { FONT_PX } from './scene';

/** Draw a scene with `ratio` canvas pixels for each pixel of the scene. */
export function drawOnCanvas(
  canvas: HTMLCanvasElement,
  scene: IScene,
  look: ILook,
  ratio: number,
  background?: string
): void {
  const context = canvas.getContext('2d');
  if (!context) {
    return;
  }
  canvas.width = Math.round(scene.width * ratio);
  canvas.height = Math.round(scene.height * ratio);
  context.scale(ratio, ratio);
  if (background) {
    context.fillStyle = background;
    context.fillRect(0, 0, scene.width, scene.height);
  }
  const { left, top, width, height } = scene.frame;
  for (const mark of scene.marks) {
    context.save();
    if (mark.clipped) {
      context.beginPath();
      context.rect(left - 1, top - 1, width + 2, height + 2);
      context.clip();
    }
    context.globalAlpha = mark.opacity ?? 1;
    context.fillStyle = context.strokeStyle = mark.color;
    drawMark(context, mark, look);
    context.restore();
  }
}

function drawMark(
  context: CanvasRenderingContext2D,
  mark: Mark,
  look: ILook
): void {
  switch (mark.kind) {
    case 'line': {
      context.lineWidth = mark.width;
      context.lineJoin = 'round';
      context.setLineDash([...(mark.dash ?? [])]);
      context.beginPath();
      let down = false;
      for (let at = 0; at < mark.x.length; at++) {
        if (!Number.isFinite(mark.y[at]) || !Number.isFinite(mark.x[at])) {
          down = false;
        } else if (down) {
          context.lineTo(mark.x[at], mark.y[at]);
        } else {
          context.moveTo(mark.x[at], mark.y[at]);
          down = true;
        }
      }
      context.stroke();
      return;
    }
    case 'area': {
      context.beginPath();
      for (let at = 0; at < mark.x.length; at++) {
        context.lineTo(mark.x[at], mark.high[at]);
      }
      for (let at = mark.x.length - 1; at >= 0; at--) {
        context.lineTo(mark.x[at], mark.low[at]);
      }
      context.fill();
      return;
    }
    case 'points': {
      const { radius, shape = 'circle' } = mark;
      for (let at = 0; at < mark.x.length; at++) {
        const x = mark.x[at];
        const y = mark.y[at];
        if (!Number.isFinite(x) || !Number.isFinite(y)) {
          continue;
        }
        if (mark.colors) {
          context.fillStyle = mark.colors[at];
        }
        context.beginPath();
        if (shape === 'circle') {
          context.arc(x, y, radius, 0, 2 * Math.PI);
        } else {
          const tip = shape === 'up' ? -radius : radius;
          context.moveTo(x, y + tip);
          context.lineTo(x - radius, y - tip);
          context.lineTo(x + radius, y - tip);
        }
        context.fill();
      }
      return;
    }
    case 'box':
      context.fillRect(mark.x, mark.y, mark.width, mark.height);
      return;
    case 'text':
      context.font = `${mark.bold ? 'bold ' : ''}${FONT_PX}px ${look.font}`;
      context.textAlign =
        mark.align === 'middle' ? 'center' : (mark.align ?? 'start');
      context.textBaseline = 'middle';
      context.translate(mark.x, mark.y);
      if (mark.turned) {
        context.rotate(-Math.PI / 2);
      }
      context.fillText(mark.text, 0, 0);
  }
}
