/** No import from JupyterLab: the widgets that travel with a message use it too. */
import type uPlot from 'uplot';

/** Where something begins on the x axis, and its word. */
export interface IMark {
  readonly x: number;
  readonly label: string;
}

/** Draw a dashed line from top to bottom at each mark that is in the plot, with its word. */
export function drawMarks(
  plot: uPlot,
  marks: readonly IMark[],
  color: string
): void {
  const { ctx, bbox } = plot;
  const pixel = uPlotPixelRatio(plot);
  const right = bbox.left + bbox.width;
  for (const { x, label } of marks) {
    const at = Math.round(plot.valToPos(x, 'x', true));
    if (!(at >= bbox.left && at <= right)) {
      continue;
    }
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = color;
    ctx.lineWidth = pixel;
    ctx.setLineDash([4 * pixel, 3 * pixel]);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = `bold ${10 * pixel}px sans-serif`;
    ctx.textBaseline = 'top';
    const fits = at + 4 * pixel + ctx.measureText(label).width <= right;
    ctx.textAlign = fits ? 'left' : 'right';
    ctx.fillText(label, at + (fits ? 4 : -4) * pixel, bbox.top + pixel);
    ctx.restore();
  }
}

function uPlotPixelRatio(plot: uPlot): number {
  return plot.width > 0 ? plot.ctx.canvas.width / plot.width : 1;
}
