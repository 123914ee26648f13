/** The theme's colours for charts; outside JupyterLab, without --jp-* variables, readable defaults. */
import type { ILook } from './scene';

/**
 * The colours of a chart's series, in order. Any two differ by a CIEDE2000 of
 * 11 or more, also for people with protanopia, deuteranopia or tritanopia, and
 * each has a contrast of 3:1 with the background of both themes: that is why
 * they are not the theme's own.
 */
export const SERIES: readonly string[] = [
  '#933ae5',
  '#5e9e99',
  '#dd7b13',
  '#646b81',
  '#a687ce',
  '#407941',
  '#a87570',
  '#d90100'
];

/** The colour of the series at a place of a chart, for CSS. */
export function lineColor(place: number): string {
  return SERIES[place % SERIES.length];
}

/** The current theme of a node. */
export function readLook(node: HTMLElement): ILook {
  const style = getComputedStyle(node);
  const read = (name: string, fallback: string) =>
    style.getPropertyValue(name).trim() || fallback;
  // Without a theme the inherited text colour is readable on the background.
  const inherited = style.color || 'currentcolor';
  return {
    text: read('--jp-ui-font-color1', inherited),
    faint: read('--jp-ui-font-color2', inherited),
    grid: read('--jp-border-color2', 'rgb(128 128 128 / 25%)'),
    accent: read('--jp-brand-color1', '#2f7fd3'),
    error: read('--jp-error-color1', '#dc4c4c'),
    series: SERIES,
    background: read(
      '--jp-layout-color1',
      read('--vscode-editor-background', 'white')
    ),
    font: style.fontFamily || 'sans-serif'
  };
}

/**
 * Call `listener` when JupyterLab's theme or the browser's colour scheme changes.
 * @returns a function that ends the subscription.
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

const known = new Map<string, string>();

/** Convert a colour to `rgb(...)`, which all programs read, if the browser can. */
export function asRgb(color: string): string {
  const found = known.get(color);
  if (found !== undefined) {
    return found;
  }
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d');
  if (!context) {
    return color;
  }
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
  const opaque =
    alpha === 255
      ? `rgb(${red}, ${green}, ${blue})`
      : `rgba(${red}, ${green}, ${blue}, ${(alpha / 255).toFixed(2)})`;
  known.set(color, opaque);
  return opaque;
}
