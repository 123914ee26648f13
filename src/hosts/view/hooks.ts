import * as React from 'react';

import type { TargetsModel } from '../model';
import type { ITarget } from '../service';

/** The latest list of targets, drawn again with each. */
export function useTargets(
  model: TargetsModel
): readonly ITarget[] | undefined {
  const subscribe = React.useCallback(
    (onChange: () => void) => {
      const slot = () => onChange();
      model.changed.connect(slot, slot);
      return () => {
        model.changed.disconnect(slot, slot);
      };
    },
    [model]
  );
  return React.useSyncExternalStore(subscribe, () => model.targets);
}
