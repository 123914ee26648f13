import type { IRouter, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { linkIcon } from '@jupyterlab/ui-components';

import { tellFailure } from '../core';

import { CommandIDs } from './commands';
import { LINKED_RUN, linkedRun, withoutRun } from './links';
import type { ExperimentsModel } from './model';
import type { ExperimentsService } from './service';

/**
 * Add commands that copy a run's link, and open the run in the page's address.
 */
export function addLinkCommands(options: {
  app: JupyterFrontEnd;
  router: IRouter | null;
  palette: ICommandPalette | null;
  model: Pick<ExperimentsModel, 'opened'>;
  service: Pick<ExperimentsService, 'links'>;
  trans: TranslationBundle;
}): void {
  const { app, router, palette, model, service, trans } = options;
  const { commands } = app;
  const runId = (args: { run_id?: unknown }): string | null =>
    typeof args.run_id === 'string' ? args.run_id : model.opened;

  commands.addCommand(CommandIDs.copyRunLink, {
    label: trans.__('Copy the Link to the Run'),
    caption: trans.__('Copy a link that opens this run'),
    icon: linkIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          run_id: {
            type: 'string',
            description: trans.__('The id of the run; default: the open run')
          }
        }
      }
    },
    isEnabled: args => runId(args) !== null,
    execute: async args => {
      try {
        const links = await service.links(runId(args) ?? '');
        const { copyLink } = await import('./copy-link');
        copyLink(links, app.serviceManager.serverSettings.baseUrl, trans);
      } catch (reason) {
        tellFailure(reason, trans);
      }
    }
  });
  palette?.addItem({
    command: CommandIDs.copyRunLink,
    category: trans.__('GenOps Lab')
  });

  commands.addCommand(CommandIDs.openLinkedRun, {
    label: trans.__('Open the Run in the Address'),
    caption: trans.__('Open the run in the address of this page'),
    describedBy: {
      args: {
        type: 'object',
        properties: {
          request: {
            type: 'string',
            description: trans.__('The address, from its path on')
          }
        }
      }
    },
    isVisible: () => false,
    execute: args => {
      const request = typeof args.request === 'string' ? args.request : '';
      const run_id = linkedRun(request);
      if (!run_id || !commands.hasCommand(CommandIDs.openRuns)) {
        return;
      }
      // The Lab is restored only when all routes are done, so this route must
      // not wait for it.
      void app.restored.then(async () => {
        const now = router?.current.request;
        if (now && linkedRun(now) === run_id) {
          router?.navigate(withoutRun(now), { skipRouting: true });
        }
        await commands.execute(CommandIDs.openRuns, { run_id });
      });
    }
  });
  router?.register({
    command: CommandIDs.openLinkedRun,
    pattern: LINKED_RUN
  });
}
