import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

/** How often a signal came, for what is drawn anew with it. */
export function useRevision(
  signal: ISignal<object, unknown>
): [number, () => void] {
  const [revision, redraw] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const slot = () => redraw();
    signal.connect(slot, slot);
    return () => {
      signal.disconnect(slot, slot);
    };
  }, [signal]);
  return [revision, redraw];
}
