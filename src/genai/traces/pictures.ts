/** Kinds of pictures that can hold no script; SVG can. */
const SHOWN = /^data:image\/(png|jpeg|gif|webp);base64,/;
/** Characters of a data URL that is shown: the server sends up to 2 MB of a picture. */
const LONGEST = 3_000_000;

/**
 * Return whether the address of a picture may be shown. A trace is what others wrote: an address elsewhere would tell
 * that machine who looks.
 */
export function isShown(url: string): boolean {
  return url.length <= LONGEST && SHOWN.test(url);
}
