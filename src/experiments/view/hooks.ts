import * as React from 'react';

import type { ICurves, RunCurves } from '../curves';
import type { ExperimentsModel } from '../model';
import type { IRun } from '../service';

/**
 * Return the curves of a run, which are updated while the component is mounted.
 */
export function useCurves(
  model: ExperimentsModel,
  run: IRun
): { runCurves: RunCurves; curves: ICurves } | null {
  const [runCurves, setRunCurves] = React.useState<RunCurves | null>(null);
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const { curves, release } = model.holdCurves(run);
    const slot = () => redraw();
    curves.changed.connect(slot, slot);
    curves.resource.changed.connect(slot, slot);
    setRunCurves(curves);
    return () => {
      curves.changed.disconnect(slot, slot);
      curves.resource.changed.disconnect(slot, slot);
      release.dispose();
      setRunCurves(null);
    };
  }, [model, run.run_id]);
  return runCurves && { runCurves, curves: runCurves.curves };
}
