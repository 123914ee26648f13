/** The theme's colours for charts; outside JupyterLab, without --jp-* variables, readable defaults. */
import type { ILook } from './scene';

/** Colours of a chart's lines in order; each is readable in light and dark themes. */
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

/** The CSS colour of the line with this index. */
export function lineColor(place: number): string {
  const [variable, fallback] = SERIES[place % SERIES.length];
  return `var(${variable}, ${fallback})`;
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
    series: SERIES.map(([name, fallback]) => read(name, fallback)),
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
  const told =
    alpha === 255
      ? `rgb(${red}, ${green}, ${blue})`
      : `rgba(${red}, ${green}, ${blue}, ${(alpha / 255).toFixed(2)})`;
  known.set(color, told);
  return told;
}
