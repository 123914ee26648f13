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

/** "Open in MLflow": MLflow's own pages in a tab of the browser. */
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
      // Before the request: later the browser takes it for a popup that nobody asked for.
      const tab = isNear ? window.open('', '_blank') : null;
      try {
        const { url, this_machine } = await service.mlflowUi();
        const address = url + pathOf(args.experiment_id, args.run_id);
        if (this_machine && !isNear) {
          await tell(address, trans);
        } else if (tab) {
          tab.opener = null;
          tab.location.href = address;
        } else if (this_machine) {
          await tell(address, trans); // the browser let no tab open
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

/** The part of MLflow's pages, which route behind the hash. */
export function pathOf(experiment: unknown, run: unknown): string {
  return typeof experiment === 'string' && typeof run === 'string'
    ? `#/experiments/${encodeURIComponent(experiment)}/runs/${encodeURIComponent(run)}`
    : '';
}

/** Whether the browser runs on the Lab's machine, as far as its address says. */
export function isThisMachine(host: string): boolean {
  return (
    host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
  );
}

async function tell(address: string, trans: TranslationBundle): Promise<void> {
  const port = new URL(address).port;
  const { button } = await showDialog({
    title: trans.__('MLflow opens on the Lab’s machine'),
    body: trans.__(
      'MLflow’s pages listen on port %1 of the machine on which JupyterLab runs, for a browser there alone. On your own machine, run `ssh -N -L %1:127.0.0.1:%1 HOST` with the login of that machine, then open the address. It has a key in it: give it to nobody.',
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
