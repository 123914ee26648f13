import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import type { IResourceSnapshot, Resource } from '../resource';

/** A value that a signal tells the changes of. */
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

/** The snapshot of a resource, drawn again when it changes. */
export function useResource<T>(resource: Resource<T>): IResourceSnapshot<T> {
  return useSignalled(resource.changed, () => resource.snapshot);
}

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

/** Whether something lasts for `ms` already: what is over sooner does not flicker. */
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
