import * as React from 'react';

import type { ILook, IScene } from '../charts/scene';
import { SceneView } from '../charts/scene-view';

/** Keep a scene on a canvas; a new `make` function draws a new scene. */
export function useScene(
  canvas: React.RefObject<HTMLCanvasElement>,
  make: (width: number, look: ILook) => IScene
): void {
  React.useEffect(() => {
    const view = new SceneView(canvas.current!, make);
    view.draw();
    return () => view.dispose();
  }, [make]);
}
