import type { KernelSpec } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import { Debouncer } from '@lumino/polling';

import type { GenOpsEvents } from '../core';

/** A test of a target is an event a step: one look follows the last. */
const PAUSE_MS = 1000;

/**
 * Have JupyterLab look for kernels after targets have changed, wherever that was: a terminal's `genops targets add`
 * stands in the kernel picker then, not with JupyterLab's next look, up to a minute later.
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
