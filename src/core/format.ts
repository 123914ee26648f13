/** Format numbers, sizes and times for the screen. */
import type { TranslationBundle } from '@jupyterlab/translation';

/** Bytes. */
export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Format a size in bytes, such as `512 MiB`, in the units of GPU drivers. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes) || bytes < 0) {
    return '–';
  }
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

/** Format two sizes, such as `3.1 / 7.8 GiB`; a shared unit stands once. */
export function formatBytesOf(used: number, total: number): string {
  const [whole, part] = [formatBytes(total), formatBytes(used)];
  const unit = whole.slice(whole.indexOf(' '));
  return `${part.endsWith(unit) ? part.slice(0, -unit.length) : part} / ${whole}`;
}

/** Format a number with four significant digits, with an exponent only where needed. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) {
    return String(value);
  }
  if (Number.isInteger(value) && Math.abs(value) < 1e7) {
    return value.toLocaleString();
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) {
    return value.toExponential(2).replace(/\.?0+e/, 'e');
  }
  // Kept: toLocaleString with options makes a new formatter at each call.
  fourDigits ??= new Intl.NumberFormat(undefined, {
    maximumSignificantDigits: 4
  });
  return fourDigits.format(Number(value.toPrecision(4)));
}

let fourDigits: Intl.NumberFormat | undefined;

/** Format a percentage, such as `37 %`. */
export function formatPercent(percent: number): string {
  return `${Math.round(percent)} %`;
}

/** Format a duration in seconds with its two largest units: `1 h 12 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) {
    return '–';
  }
  const whole = Math.max(0, seconds);
  if (whole < 1) {
    return `${Math.round(whole * 1000)} ms`;
  }
  if (whole < 10) {
    return `${whole.toFixed(1)} s`;
  }
  const s = Math.round(whole);
  if (s < 60) {
    return `${s} s`;
  }
  const pairs: [number, string, number, string][] = [
    [86400, 'd', 3600, 'h'],
    [3600, 'h', 60, 'min'],
    [60, 'min', 1, 's']
  ];
  const [big, bigUnit, small, smallUnit] = pairs.find(([size]) => s >= size)!;
  const rest = Math.floor((s % big) / small);
  const head = `${Math.floor(s / big)} ${bigUnit}`;
  return rest === 0 ? head : `${head} ${rest} ${smallUnit}`;
}

/** Format an age, such as `2 min ago`. Both times in seconds since 1970. */
export function formatAge(
  then: number,
  now: number,
  trans: TranslationBundle
): string {
  const age = Math.max(0, now - then);
  if (age < 45) {
    return trans.__('just now');
  }
  if (age < 3600) {
    return trans.__('%1 min ago', Math.max(1, Math.round(age / 60)));
  }
  if (age < 86400) {
    return trans.__('%1 h ago', Math.round(age / 3600));
  }
  if (age < 30 * 86400) {
    return trans.__('%1 d ago', Math.round(age / 86400));
  }
  days ??= new Intl.DateTimeFormat(undefined, {
    year: 'numeric',
    month: 'short',
    day: 'numeric'
  });
  return dateText(days, then);
}

/** Format a date and time in the browser's time zone. Seconds since 1970. */
export function formatMoment(then: number): string {
  moments ??= new Intl.DateTimeFormat(undefined, {
    dateStyle: 'medium',
    timeStyle: 'medium'
  });
  return dateText(moments, then);
}

// Kept: a table formats hundreds of times a frame, and each toLocaleString makes a new formatter.
let days: Intl.DateTimeFormat | undefined;
let moments: Intl.DateTimeFormat | undefined;

function dateText(format: Intl.DateTimeFormat, seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(date) : format.format(date);
}
