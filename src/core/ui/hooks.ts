import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import type { IResourceSnapshot, Resource } from '../resource';

/** A value whose changes a signal announces. */
export function useSignalled<T>(
  signal: ISignal<object, unknown>,
  read: () => T
): T {
  const subscribe = React.useCallback(
    (onChange: () => void) => {
      // The slot is its own owner: a component has no `this`.
      const slot = () => onChange();
      signal.connect(slot, slot);
      return () => {
        signal.disconnect(slot, slot);
      };
    },
    [signal]
  );
  return React.useSyncExternalStore(subscribe, read);
}

/** The snapshot of a resource; renders again at each change. */
export function useResource<T>(resource: Resource<T>): IResourceSnapshot<T> {
  return useSignalled(resource.changed, () => resource.snapshot);
}

/** The number of emissions of a signal, as a key for new renders. */
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

/** Whether a condition has held for `ms`, so that short states do not flicker. */
export function useLasting(lasts: boolean, ms: number): boolean {
  const [isLong, setLong] = React.useState(false);
  React.useEffect(() => {
    if (!lasts) {
      return;
    }
    const timer = window.setTimeout(() => setLong(true), ms);
    return () => {
      window.clearTimeout(timer);
      setLong(false);
    };
  }, [lasts, ms]);
  return lasts && isLong;
}
