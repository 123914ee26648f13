import type { TranslationBundle } from '@jupyterlab/translation';
import { launchIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';

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
          trace_id: { ...text, description: trans.__('The trace to open') },
          experiment_id: { ...text, description: trans.__('Its experiment') }
        }
      }
    },
    execute: async args => {
      const isNear = isThisMachine(window.location.hostname);
      // Opened before the request: later the browser would block it as a popup.
      const tab = isNear ? window.open('', '_blank') : null;
      const { showMlflow } = await import('./mlflow-tab');
      await showMlflow({ args, isNear, tab, service, trans });
    }
  });
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
