/** No import from JupyterLab: the widgets that travel with a message use it too. */
import type uPlot from 'uplot';

/**
 * The room that the last label of an x axis needs at the right. uPlot writes a
 * label around its tick, and cuts off what lies outside of the chart.
 */
export class LastLabel {
  /** `least`: the padding without it. */
  constructor(
    private _font: string,
    private _least: number
  ) {}

  /** The axis's `size`: its height, and a look at what it will write. */
  size(height: number): uPlot.Axis.Size {
    return (_, values: string[] | null) => {
      this._text = values?.[values.length - 1] ?? '';
      return height;
    };
  }

  /** The chart's padding at the right. */
  readonly padding = (plot: uPlot): number => {
    const { ctx } = plot;
    ctx.save();
    ctx.font = this._font;
    const widths = this._text
      .split('\n')
      .map(line => ctx.measureText(line).width);
    ctx.restore();
    return Math.max(this._least, Math.ceil(Math.max(...widths) / 2) + 1);
  };

  private _text = '';
}
