import {
  Clipboard,
  Dialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { launchIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';

import { ApiError } from '../core';

import { CommandIDs } from './commands';
import type { ExperimentsService } from './service';

/** Add "Open in MLflow": MLflow's own pages in a browser tab. */
export function addMlflowCommand(options: {
  commands: CommandRegistry;
  service: Pick<ExperimentsService, 'mlflowUi'>;
  trans: TranslationBundle;
}): void {
  const { commands, service, trans } = options;
  const text = { type: 'string' };
  commands.addCommand(CommandIDs.openMlflow, {
    label: trans.__('Open MLflow'),
    caption: trans.__('Open MLflow’s own pages in a tab of the browser'),
    icon: launchIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          run_id: { ...text, description: trans.__('The run to open') },
          experiment_id: { ...text, description: trans.__('Its experiment') }
        }
      }
    },
    execute: async args => {
      const isNear = isThisMachine(window.location.hostname);
      // Opened before the request: later the browser would block it as a popup.
      const tab = isNear ? window.open('', '_blank') : null;
      try {
        const { url, this_machine } = await service.mlflowUi();
        const address = url + pathOf(args.experiment_id, args.run_id);
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
  });
}

/** Return the path of MLflow's pages, which route behind the hash. */
export function pathOf(experiment: unknown, run: unknown): string {
  return typeof experiment === 'string' && typeof run === 'string'
    ? `#/experiments/${encodeURIComponent(experiment)}/runs/${encodeURIComponent(run)}`
    : '';
}

/**
 * Return whether the browser runs on the Lab's machine, as far as its address
 * says.
 */
export function isThisMachine(host: string): boolean {
  return (
    host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
  );
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
