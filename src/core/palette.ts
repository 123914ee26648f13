/**
 * Colours of charts, from the theme where there is one.
 *
 * No import from JupyterLab: the widgets that travel with a message use it too,
 * in places where no --jp-* variable is set.
 */

/** One after the other for the series of a chart; each readable on light and on dark. */
const SERIES: readonly [variable: string, fallback: string][] = [
  ['--jp-brand-color1', '#2f7fd3'],
  ['--jp-mirror-editor-string-color', '#c2571a'],
  ['--jp-mirror-editor-keyword-color', '#2a9461'],
  ['--jp-mirror-editor-operator-color', '#a356c9'],
  ['--jp-warn-color1', '#c8861a'],
  ['--jp-info-color1', '#1593a5'],
  ['--jp-error-color1', '#d14343'],
  ['--jp-mirror-editor-variable-2-color', '#6f7bd1']
];

export interface IChartColors {
  /** Text of axes. */
  text: string;
  grid: string;
  series: string[];
  /** Of what went wrong. */
  error: string;
}

/** The colours that hold at `node` now. */
export function readColors(node: HTMLElement): IChartColors {
  const style = getComputedStyle(node);
  const read = (name: string, fallback: string) =>
    style.getPropertyValue(name).trim() || fallback;
  // Where no theme is, what text inherits is readable on whatever is behind it.
  const inherited = style.color || 'currentcolor';
  return {
    text: read('--jp-ui-font-color2', inherited),
    grid: read('--jp-border-color2', 'rgb(128 128 128 / 25%)'),
    series: SERIES.map(([name, fallback]) => read(name, fallback)),
    error: read('--jp-error-color1', '#dc4c4c')
  };
}

/**
 * Call `listener` when the theme changes (JupyterLab marks its body, and a
 * browser has a colour scheme). @returns a function that ends it.
 */
export function onThemeChange(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.body, {
    attributes: true,
    attributeFilter: [
      'class',
      'data-jp-theme-light',
      'data-jp-theme-name',
      'data-vscode-theme-kind'
    ]
  });
  const scheme =
    typeof window.matchMedia === 'function'
      ? window.matchMedia('(prefers-color-scheme: dark)')
      : null;
  scheme?.addEventListener('change', listener);
  return () => {
    observer.disconnect();
    scheme?.removeEventListener('change', listener);
  };
}

/** A figure for people: four significant digits, exponents only where needed. */
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
  // Made once: toLocaleString with options makes one at each call.
  fourDigits ??= new Intl.NumberFormat(undefined, {
    maximumSignificantDigits: 4
  });
  return fourDigits.format(Number(value.toPrecision(4)));
}

let fourDigits: Intl.NumberFormat | undefined;
