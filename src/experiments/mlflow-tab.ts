import {
  Clipboard,
  Dialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError } from '../core';

import type { ExperimentsService } from './service';

/** Show MLflow's pages in a tab that was opened before, or say how to reach them from another machine. */
export async function showMlflow(options: {
  args: ReadonlyPartialJSONObject;
  /** Whether the browser runs on the Lab's machine. */
  isNear: boolean;
  tab: Window | null;
  service: Pick<ExperimentsService, 'mlflowUi'>;
  trans: TranslationBundle;
}): Promise<void> {
  const { args, isNear, tab, service, trans } = options;
  try {
    const { url, this_machine } = await service.mlflowUi();
    const address =
      url + pathOf(args.experiment_id, args.run_id, args.trace_id);
    if (this_machine && !isNear) {
      await showTunnelHelp(address, trans);
    } else if (tab) {
      tab.opener = null;
      tab.location.href = address;
    } else if (this_machine) {
      await showTunnelHelp(address, trans); // the browser blocked the tab
    } else {
      window.open(address, '_blank', 'noopener');
    }
  } catch (reason) {
    tab?.close();
    const error = ApiError.from(reason, trans);
    Notification.error(`${error.message} ${error.hint}`.trim());
  }
}

/** Return the path of MLflow's page of a run or a trace; MLflow's pages route behind the hash. */
export function pathOf(
  experiment: unknown,
  run: unknown,
  trace: unknown = undefined
): string {
  if (typeof experiment !== 'string') {
    return '';
  }
  const base = `#/experiments/${encodeURIComponent(experiment)}`;
  if (typeof trace === 'string') {
    return `${base}/traces?selectedEvaluationId=${encodeURIComponent(trace)}`;
  }
  return typeof run === 'string'
    ? `${base}/runs/${encodeURIComponent(run)}`
    : '';
}

async function showTunnelHelp(
  address: string,
  trans: TranslationBundle
): Promise<void> {
  const port = new URL(address).port;
  const { button } = await showDialog({
    title: trans.__('Open MLflow from another machine'),
    body: trans.__(
      'MLflow listens on port %1 of JupyterLab’s machine, for browsers on that machine only. On your own machine, run `ssh -N -L %1:127.0.0.1:%1 HOST`, where HOST is the login of that machine. Then open the address. Keep the address secret, because it has a key.',
      port
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Close') }),
      Dialog.okButton({ label: trans.__('Copy the address') })
    ]
  });
  if (button.accept) {
    Clipboard.copyToSystem(address);
  }
}
