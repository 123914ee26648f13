import type { KernelSpec } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import { Debouncer } from '@lumino/polling';

import type { GenOpsEvents } from '../core';

/** A target's test sends an event per step: one refresh follows the last. */
const PAUSE_MS = 1000;

/**
 * Refresh JupyterLab's kernelspecs after targets have changed, also by `genops
 * targets add` in a terminal. JupyterLab itself refreshes only once a minute.
 */
export function refreshKernelspecs(
  events: Pick<GenOpsEvents, 'changed'>,
  kernelspecs: Pick<KernelSpec.IManager, 'refreshSpecs'>
): IDisposable {
  const look = new Debouncer(() => kernelspecs.refreshSpecs(), PAUSE_MS);
  const changed = events.changed('target');
  const ask = () => void look.invoke();
  changed.connect(ask);
  return new DisposableDelegate(() => {
    changed.disconnect(ask);
    look.dispose();
  });
}
