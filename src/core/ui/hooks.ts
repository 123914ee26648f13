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
