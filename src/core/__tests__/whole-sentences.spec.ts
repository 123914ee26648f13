import { Linter } from 'eslint';

// The page of these tests lacks it; ESLint copies its options with it.
globalThis.structuredClone ??= <T>(value: T): T =>
  JSON.parse(JSON.stringify(value)) as T;

const rule = jest.requireActual('../../../scripts/eslint-translations.js');

describe('the lint rule of translated sentences', () => {
  const faults = (code: string): number =>
    new Linter().verify(code, [
      {
        plugins: { genops: { rules: { 'whole-sentences': rule } } },
        rules: { 'genops/whole-sentences': 'error' }
      }
    ]).length;

  it.each([
    "trans.__('Stop') + name",
    "`${n} ${trans._n('run', 'runs', n)}`",
    "` ${trans.__('runs')}`",
    "`for ${trans.__('the kernel')}: ${n}`",
    "[trans.__('Stop'), name].join(' ')",
    "trans.__('Delete %1 now', trans.__('the run'))"
  ])('refuses a phrase of parts: %s', code => {
    expect(faults(code)).toBe(1);
  });

  it.each([
    "trans.__('Stop %1', name)",
    "`${trans.__('Kernel')}: ${name}`",
    "`${n} · ${trans.__('still running')}`",
    "`${trans.__('Copied.')} ${name}`",
    "trans.__('%1: %2.', trans.__('Kernel'), name)",
    "[trans.__('Stopped'), name].join(', ')"
  ])('accepts whole sentences and lists: %s', code => {
    expect(faults(code)).toBe(0);
  });
});
