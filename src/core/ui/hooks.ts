import * as React from 'react';

import type { IResourceSnapshot, Resource } from '../resource';

/** The snapshot of a resource, drawn again when it changes. */
export function useResource<T>(resource: Resource<T>): IResourceSnapshot<T> {
  const subscribe = React.useCallback(
    (onChange: () => void) => {
      // The slot is its own owner: a component has no `this`.
      const slot = () => onChange();
      resource.changed.connect(slot, slot);
      return () => {
        resource.changed.disconnect(slot, slot);
      };
    },
    [resource]
  );
  return React.useSyncExternalStore(subscribe, () => resource.snapshot);
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
