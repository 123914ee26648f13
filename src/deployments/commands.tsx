import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon, refreshIcon, stopIcon } from '@jupyterlab/ui-components';
import { definer, deploymentIcon, textArg, textOf } from '../core';
import type { IGenOpsCore } from '../core';
import { Pages } from '../core/pages';
import type { IGenOpsPanel } from '../panel';

import type { DeploymentsModel } from './model';
import { isActive } from './model';
import type { DeploymentPage } from './playground/opening';
import type { IDeployment } from './service';

export namespace CommandIDs {
  export const deploy = 'genops:deploy-model';
  export const apply = 'genops:apply-deployment-file';
  export const stop = 'genops:stop-deployment';
  export const renew = 'genops:renew-deployment';
  export const remove = 'genops:delete-deployment';
  export const playground = 'genops:try-deployment';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  model: DeploymentsModel;
  panel: IGenOpsPanel;
  trans: TranslationBundle;
  palette: ICommandPalette | null;
  core: IGenOpsCore;
  restorer: ILayoutRestorer | null;
  /** Null where there are no file browsers. */
  files: IFileBrowserFactory | null;
}

/** Add the commands of deployments. */
export function addCommands(options: ICommandsOptions): void {
  const { app, model, trans, palette, files } = options;
  const { service } = model;
  const named = {
    name: textArg(
      trans.__('Name of the deployment; a dialog asks if it is missing')
    )
  };
  const define = definer(app, palette, trans);
  const choosing = () => import('./choosing');

  define(CommandIDs.deploy, {
    label: trans.__('Deploy a Model…'),
    caption: trans.__('Serve a model version at a URL'),
    icon: deploymentIcon,
    args: {
      model: textArg(trans.__('Model that the form selects first')),
      version: textArg(trans.__('Version of the model; default: the newest')),
      name: textArg(trans.__('Deployment name that the form proposes'))
    },
    execute: async args => {
      const { openDeploy } = await import('./opening-forms');
      await openDeploy(options, {
        model: textOf(args.model),
        version: textOf(args.version),
        name: textOf(args.name)
      });
    }
  });

  if (files) {
    // The file that the context menu is about.
    const selected = () =>
      files.tracker.currentWidget?.selectedItems().next().value?.path ?? '';
    define(CommandIDs.apply, {
      label: args =>
        args.selected
          ? trans.__('Apply as Deployment…')
          : trans.__('Apply a Deployment File…'),
      caption: trans.__(
        'Show what a deployment file would change, then apply it'
      ),
      icon: deploymentIcon,
      args: {
        path: textArg(
          trans.__('Path of the file; a dialog asks if it is missing')
        )
      },
      execute: async args => {
        const { openApply } = await import('./opening-forms');
        const path = args.selected ? selected() : textOf(args.path);
        await openApply(options, files, path);
      }
    });
    app.contextMenu.addItem({
      command: CommandIDs.apply,
      args: { selected: true },
      selector: '.jp-DirListing-item[data-file-type="yaml"]',
      rank: 20
    });
  }

  const pages = new Pages<DeploymentPage>(app, {
    namespace: 'genops-try',
    command: CommandIDs.playground,
    restorer: options.restorer
  });
  define(CommandIDs.playground, {
    label: trans.__('Try a Deployment…'),
    caption: trans.__('Send requests to a deployment and look at the answers'),
    icon: deploymentIcon,
    args: {
      ...named,
      view: textArg(
        trans.__('View that opens: try, load, rollout or addresses')
      )
    },
    execute: async args => {
      const running = ({ state }: IDeployment) => state === 'running';
      const name = await (
        await choosing()
      ).chooseName(model, args, running, trans);
      if (name) {
        const { openPlayground } = await import('./playground/opening');
        const view = textOf(args.view);
        await openPlayground(pages, options.core, service, { name, view });
      }
    }
  });

  define(CommandIDs.stop, {
    label: trans.__('Stop a Deployment…'),
    caption: trans.__(
      'Finish the requests in flight, then stop the deployment'
    ),
    icon: stopIcon,
    args: named,
    execute: async args => {
      const name = await (
        await choosing()
      ).chooseName(model, args, isActive, trans);
      if (name) {
        await service.stop(name);
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.renew, {
    label: trans.__('Extend the Time of a Deployment…'),
    caption: trans.__(
      'Begin the time again after which an unused deployment ends'
    ),
    icon: refreshIcon,
    args: named,
    execute: async args => {
      const running = ({ state }: IDeployment) => state === 'running';
      const name = await (
        await choosing()
      ).chooseName(model, args, running, trans);
      if (name) {
        await service.renew(name);
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.remove, {
    label: trans.__('Delete an Ended Deployment…'),
    caption: trans.__('Delete a deployment that has ended, and its log'),
    icon: deleteIcon,
    args: named,
    execute: async args => {
      const ended = (each: IDeployment) => !isActive(each);
      const name = await (
        await choosing()
      ).chooseName(model, args, ended, trans);
      if (name && (await (await choosing()).confirmDelete(name, trans))) {
        await service.delete(name);
        await model.list.refresh();
      }
    }
  });
}
