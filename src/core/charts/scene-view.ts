import { drawOnCanvas } from './canvas';
import { onThemeChange, readLook } from './look';
import type { ILook, IScene } from './scene';

/** A canvas with a scene that fills its parent's width, drawn again when the width or the theme changes. */
export class SceneView {
  /** `make` returns the scene for a width in pixels. */
  constructor(
    private _canvas: HTMLCanvasElement,
    private _make: (width: number, look: ILook) => IScene
  ) {
    _canvas.style.display = 'block';
    _canvas.style.width = '100%';
    this._endTheme = onThemeChange(() =>
      requestAnimationFrame(() => {
        this._look = null;
        this.draw();
      })
    );
    if (typeof ResizeObserver !== 'undefined') {
      this._resize = new ResizeObserver(() => {
        if (this._host?.clientWidth !== this._width) {
          this.draw();
        }
      });
      this._resize.observe(_canvas.parentElement!);
    }
  }

  draw(): void {
    const host = this._host;
    this._width = host?.clientWidth ?? 0;
    if (!host || this._width === 0) {
      return;
    }
    this._look ??= readLook(host);
    const scene = this._make(this._width, this._look);
    drawOnCanvas(this._canvas, scene, this._look, window.devicePixelRatio || 1);
    this._canvas.style.height = `${scene.height}px`;
  }

  dispose(): void {
    this._endTheme();
    this._resize?.disconnect();
  }

  private get _host(): HTMLElement | null {
    return this._canvas.parentElement;
  }

  private _width = 0;
  private _look: ILook | null = null;
  private _endTheme: () => void;
  private _resize: ResizeObserver | null = null;
}
