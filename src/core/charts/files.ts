/** Save pictures as files. */
import { drawOnCanvas } from './canvas';
import { asRgb } from './look';
import type { ILook, IScene } from './scene';
import { asSvg } from './svg';

/** Pixels of a PNG for each pixel of the screen. */
const RATIO = 2;

export function saveSvg(scene: IScene, look: ILook, title: string): void {
  const svg = asSvg(scene, look, title, asRgb);
  save(new Blob([svg], { type: 'image/svg+xml' }), `${fileName(title)}.svg`);
}

export async function savePng(
  scene: IScene,
  look: ILook,
  title: string
): Promise<void> {
  const canvas = document.createElement('canvas');
  drawOnCanvas(canvas, scene, look, RATIO, look.background);
  const blob = await new Promise<Blob | null>(resolve =>
    canvas.toBlob(resolve, 'image/png')
  );
  if (blob) {
    save(blob, `${fileName(title)}.png`);
  }
}

/** Download a file in the browser. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has read the URL by the next turn of the event loop.
  window.setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A title as a file name that is valid on any system. */
export function fileName(title: string): string {
  return (
    title
      .replace(/[^\p{L}\p{N}._-]+/gu, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, 80) || 'chart'
  );
}
