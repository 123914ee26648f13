import { formatDuration } from '../core/format';

/** A duration given in microseconds: `840 µs`, `12.3 ms`, `4.56 s`, `2 min 5 s`. */
export function formatMicroseconds(us: number): string {
  if (!Number.isFinite(us)) {
    return '–';
  }
  if (us < 1e3) {
    return `${digits(us)} µs`;
  }
  if (us < 1e6) {
    return `${digits(us / 1e3)} ms`;
  }
  return us < 60e6 ? `${digits(us / 1e6)} s` : formatDuration(us / 1e6);
}

/** `part` of `whole` in percent; with a digit more below ten. */
export function formatShare(part: number, whole: number): string {
  const percent = whole > 0 ? (part / whole) * 100 : 0;
  if (percent > 0 && percent < 0.1) {
    return '<0.1 %';
  }
  return `${Number(percent.toFixed(percent < 10 ? 1 : 0))} %`;
}

function digits(value: number): string {
  return value >= 1000
    ? value.toFixed(0)
    : String(Number(value.toPrecision(3)));
}
