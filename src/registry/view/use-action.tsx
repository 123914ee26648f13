import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ApiError } from '../../core';

/** An action of a button: whether it runs, why it failed, and that as an alert. */
export function useAction(trans: TranslationBundle): {
  busy: boolean;
  failure: ApiError | null;
  error: React.ReactNode;
  run: (action: () => Promise<void>, done?: () => void) => Promise<void>;
} {
  const [busy, setBusy] = React.useState(false);
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  const run = async (action: () => Promise<void>, done?: () => void) => {
    setBusy(true);
    setFailure(null);
    try {
      await action();
      done?.();
    } catch (reason) {
      setFailure(ApiError.from(reason, trans));
    }
    setBusy(false);
  };
  const error = failure && (
    <p className="gol-Field-error" role="alert">
      {failure.message} {failure.hint}
    </p>
  );
  return { busy, failure, error, run };
}
