import * as React from 'react';

import { onThemeChange } from '../../core/palette';

/** Draw at first, when `host` gets another size, with another theme, and when `draw` is another function. */
export function useRedraw(
  host: React.RefObject<HTMLElement>,
  draw: () => void
): void {
  React.useEffect(() => {
    const node = host.current;
    if (!node) {
      return;
    }
    draw();
    const resize = new ResizeObserver(draw);
    resize.observe(node);
    const endTheme = onThemeChange(() => requestAnimationFrame(draw));
    return () => {
      resize.disconnect();
      endTheme();
    };
  }, [draw]);
}
