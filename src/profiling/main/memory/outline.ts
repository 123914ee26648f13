import type { IProfileSummary } from '../../service';

type IPoint = NonNullable<
  IProfileSummary['memory']
>['devices'][number]['timeline'][number];

/** The outline of what was held, as the path of an area: it stays as it is until the next event. */
export function outlineOf(
  points: readonly IPoint[],
  width: number,
  height: number
): string {
  const first = points[0].at;
  const span = Math.max(points[points.length - 1].at - first, 1);
  const most = Math.max(...points.map(({ bytes }) => bytes), 1);
  const x = (at: number) => (((at - first) / span) * width).toFixed(1);
  const y = (bytes: number) => (height - (bytes / most) * height).toFixed(1);
  const steps = points.map(({ at, bytes }) => `H${x(at)}V${y(bytes)}`).join('');
  return `M0 ${height}V${y(points[0].bytes)}${steps}H${width}V${height}Z`;
}
