import type { TranslationBundle } from '@jupyterlab/translation';

import type { IModelFacts } from './service';

const SHOWN_TYPES = 3;
const UNITS: readonly (readonly [number, string])[] = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k']
];

/** Format a count of parameters in the units of the field: `7.2 B`. */
export function formatCount(count: number): string {
  for (const [unit, name] of UNITS) {
    if (count >= unit) {
      return `${(count / unit).toFixed(1)} ${name}`;
    }
  }
  return String(count);
}

/**
 * Describe the parameters with their types: `7.2 B, bf16`, or `7.2 B: 97 % bf16, 3 % fp32`.
 * Empty if they are not known.
 */
export function describeParameters(
  facts: Pick<IModelFacts, 'parameters' | 'dtypes' | 'quantization'>,
  trans: TranslationBundle
): string {
  const { parameters, dtypes, quantization } = facts;
  if (parameters === null) {
    return quantization;
  }
  const types = Object.entries(dtypes).sort((a, b) => b[1] - a[1]);
  const count = formatCount(parameters);
  if (quantization || types.length < 2) {
    return trans.__('%1, %2', count, quantization || (types[0]?.[0] ?? ''));
  }
  const shares = types
    .slice(0, SHOWN_TYPES)
    .map(([name, values]) => `${share(values, parameters)} ${name}`);
  return trans.__('%1: %2', count, shares.join(', '));
}

function share(part: number, whole: number): string {
  const percent = (100 * part) / whole;
  return percent < 0.5 ? '<1 %' : `${Math.round(percent)} %`;
}
