/** Decides which artifacts can be shown in place, and makes them harmless. */
import { csvParseRows, tsvParseRows } from 'd3-dsv';

export type PreviewKind = 'image' | 'table' | 'html' | 'text';

/** Largest size of each kind that is fetched for a preview, in bytes. */
export const MOST_BYTES: Record<PreviewKind, number> = {
  image: 10_000_000,
  table: 1_000_000,
  html: 2_000_000,
  text: 500_000
};
/** Rows and columns of a table that are drawn. */
export const MOST_ROWS = 100;
export const MOST_COLUMNS = 40;

/** In an <img> no script of an SVG runs, and nothing is fetched. */
const IMAGES: Record<string, string> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  bmp: 'image/bmp',
  svg: 'image/svg+xml'
};
const TEXTS =
  /\.(txt|md|log|json|jsonl|ya?ml|toml|ini|cfg|py|r|sh|sql|xml|patch|diff|lock|rst)$|(^|\/)(MLmodel|README|LICENSE|requirements)$/i;

/** Return the type of an image by its name; undefined for other files. */
export function imageType(path: string): string | undefined {
  return IMAGES[extension(path)];
}

/** Return how a file can be shown; null if it cannot. */
export function previewKind(path: string): PreviewKind | null {
  const end = extension(path);
  if (end in IMAGES) {
    return 'image';
  }
  if (end === 'csv' || end === 'tsv') {
    return 'table';
  }
  if (end === 'html' || end === 'htm') {
    return 'html';
  }
  return TEXTS.test(path) ? 'text' : null;
}

/** Return the first rows of a text of separated values. */
export function tableRows(path: string, text: string): string[][] {
  const parse = extension(path) === 'tsv' ? tsvParseRows : csvParseRows;
  return parse(text.replace(/^\uFEFF/, ''))
    .slice(0, MOST_ROWS + 1)
    .map(row => row.slice(0, MOST_COLUMNS));
}

/**
 * Return a page for an `<iframe sandbox="" srcdoc>`. No script runs in it and
 * no form is sent; this policy in front also keeps the page from the network.
 */
export function confined(html: string): string {
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";
  return `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="referrer" content="no-referrer">${html}`;
}

function extension(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot === -1 ? '' : name.slice(dot + 1).toLowerCase();
}
