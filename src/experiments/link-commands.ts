import type { IRouter, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import {
  Clipboard,
  Dialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { linkIcon } from '@jupyterlab/ui-components';

import { ApiError } from '../core';

import { CommandIDs } from './commands';
import type { IShownLink } from './links';
import { LINKED_RUN, linkedRun, shownLinks, withoutRun } from './links';
import type { ExperimentsModel } from './model';
import type { ExperimentsService } from './service';

/** Copy the address of a run, and open the run that an address names. */
export function addLinkCommands(options: {
  app: JupyterFrontEnd;
  router: IRouter | null;
  palette: ICommandPalette | null;
  model: ExperimentsModel;
  service: Pick<ExperimentsService, 'links'>;
  trans: TranslationBundle;
}): void {
  const { app, router, palette, model, service, trans } = options;
  const { commands } = app;
  const runId = (args: { run_id?: unknown }): string | null =>
    typeof args.run_id === 'string' ? args.run_id : model.opened;

  commands.addCommand(CommandIDs.copyRunLink, {
    label: trans.__('Copy the Link to the Run'),
    caption: trans.__('Copy an address under which the opened run opens'),
    icon: linkIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          run_id: {
            type: 'string',
            description: trans.__(
              'The id of the run; by default the one opened'
            )
          }
        }
      }
    },
    isEnabled: args => runId(args) !== null,
    execute: async args => {
      try {
        const links = await service.links(runId(args) ?? '');
        const { baseUrl } = app.serviceManager.serverSettings;
        const [best, ...others] = shownLinks(links, {
          baseUrl,
          shareUrl: shareUrl()
        });
        Clipboard.copyToSystem(best.url);
        const actions = others.map(other => ({
          label: copyLabel(other, trans),
          callback: () => Clipboard.copyToSystem(other.url)
        }));
        if (links.shared) {
          Notification.success(
            `${trans.__('The link is copied.')} ${reach(best, trans)}`,
            { autoClose: 8000, actions }
          );
        } else {
          // What fits a notification is short.
          const why = {
            label: trans.__('Why?'),
            callback: () =>
              void showDialog({
                title: trans.__('A link for you alone'),
                body: `${links.why} ${links.hint}`.trim(),
                buttons: [Dialog.okButton()]
              })
          };
          Notification.warning(
            trans.__(
              'The link is copied, for you alone: a colleague cannot open it.'
            ),
            { autoClose: false, actions: [why, ...actions] }
          );
        }
      } catch (reason) {
        const error = ApiError.from(reason, trans);
        Notification.error(`${error.message} ${error.hint}`.trim());
      }
    }
  });
  palette?.addItem({
    command: CommandIDs.copyRunLink,
    category: trans.__('GenOps Lab')
  });

  commands.addCommand(CommandIDs.openLinkedRun, {
    label: trans.__('Open the Run of the Address'),
    caption: trans.__('Open the run that the address of the page names'),
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
      // The Lab is restored when all routes are done: so this one does not wait for it.
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

/** Where JupyterHub sends each user to a server of their own; empty off a hub. */
function shareUrl(): string {
  const path = PageConfig.getOption('shareUrl');
  const host = PageConfig.getOption('hubHost') || window.location.origin;
  return path && new URL(path, host).href;
}

function reach({ kind }: IShownLink, trans: TranslationBundle): string {
  switch (kind) {
    case 'hub':
      return trans.__('It opens in the JupyterLab of whoever follows it.');
    case 'mlflow':
      return trans.__('It is MLflow’s own page of the run.');
    case 'lab':
      return trans.__('It opens in this JupyterLab.');
  }
}

function copyLabel({ kind }: IShownLink, trans: TranslationBundle): string {
  switch (kind) {
    case 'hub':
      return trans.__('Copy for JupyterHub');
    case 'mlflow':
      return trans.__('Copy MLflow’s Address');
    case 'lab':
      return trans.__('Copy for This Lab');
  }
}
