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

/**
 * Add commands that copy a run's link, and open the run in the page's address.
 */
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
            `${trans.__('Link copied.')} ${reach(best, trans)}`,
            { autoClose: 8000, actions }
          );
        } else {
          // A notification has room for a short text only.
          const why = {
            label: trans.__('Why?'),
            callback: () =>
              void showDialog({
                title: trans.__('Only you can open this link'),
                body: `${links.why} ${links.hint}`.trim(),
                buttons: [Dialog.okButton()]
              })
          };
          Notification.warning(trans.__('Link copied. Only you can open it.'), {
            autoClose: false,
            actions: [why, ...actions]
          });
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

/**
 * Return the address with which JupyterHub sends each user to their own server;
 * empty without a hub.
 */
function shareUrl(): string {
  const path = PageConfig.getOption('shareUrl');
  const host = PageConfig.getOption('hubHost') || window.location.origin;
  return path && new URL(path, host).href;
}

function reach({ kind }: IShownLink, trans: TranslationBundle): string {
  switch (kind) {
    case 'hub':
      return trans.__(
        'It opens in the JupyterLab of the person who follows it.'
      );
    case 'mlflow':
      return trans.__('It opens the run’s page in MLflow.');
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
