import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';
import {
  addIcon,
  clearIcon,
  codeCheckIcon,
  deleteIcon,
  downloadIcon,
  notebookIcon,
  settingsIcon,
  stopIcon,
  textEditorIcon
} from '@jupyterlab/ui-components';

import type { MachineModel } from '../kernels/model';
import type { IGenOpsCore } from '../core';
import { computeIcon, definer, textArg, textOf } from '../core';
import type { IGenOpsPanel } from '../panel';
import type { ITaskNotifier } from '../tasks/tokens';

import { addKernelCommands } from './kernel-commands';
import type { TargetsModel } from './model';
import { KERNEL_PREFIX } from './notebook-target';
import type { QuestionsModel } from './questions';
import type { ITarget } from './service';

export namespace CommandIDs {
  export const add = 'genops:add-target';
  export const choose = 'genops:choose-target';
  export const pull = 'genops:pull-folder';
  export const notebook = 'genops:new-notebook-on-target';
  export const connect = 'genops:connect-target';
  export const disconnect = 'genops:disconnect-target';
  export const test = 'genops:test-target';
  export const settings = 'genops:change-target';
  export const request = 'genops:target-request';
  export const clean = 'genops:clean-target';
  export const release = 'genops:release-host';
  export const remove = 'genops:remove-target';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  model: TargetsModel;
  questions: QuestionsModel;
  machine: MachineModel;
  tasks: ITaskNotifier;
  panel: IGenOpsPanel;
  palette: ICommandPalette | null;
  notebooks: INotebookTracker | null;
  files: IFileBrowserFactory | null;
}

const dialogs = () => import('./dialogs');

const adding = async () => ({
  ...(await import('./add')),
  ...(await import('./view/add-dialog'))
});

/** Add the commands of targets. */
export function addCommands(options: ICommandsOptions): void {
  const { app, core, model, panel, palette } = options;
  const { trans } = core;
  const { service } = model;
  const named = {
    name: textArg(trans.__('The name of the target; asked when missing'))
  };
  const places = async () => {
    const { Places } = await import('./places');
    return new Places(options);
  };
  /** The notebook whose project describes the environment. */
  const project = () =>
    app.serviceManager.contents.localPath(
      options.notebooks?.currentWidget?.context.path ?? ''
    );

  const define = definer(app, palette, trans);

  define(CommandIDs.choose, {
    label: trans.__('Choose Where to Run This Notebook…'),
    caption: trans.__(
      'Compare this machine and all targets, then start this notebook’s kernel on one of them'
    ),
    icon: computeIcon,
    args: {},
    isEnabled: () => Boolean(options.notebooks?.currentWidget),
    execute: async () => {
      const notebook = options.notebooks?.currentWidget;
      if (notebook) {
        await (await places()).choose(notebook);
      }
    }
  });

  define(CommandIDs.pull, {
    label: trans.__('Pull Files from a Target…'),
    caption: trans.__(
      'See which files of this notebook’s folder are new or changed on its target, and pull them'
    ),
    icon: downloadIcon,
    args: {},
    isEnabled: () => {
      const kernel =
        options.notebooks?.currentWidget?.sessionContext.session?.kernel;
      return Boolean(kernel?.name.startsWith(KERNEL_PREFIX));
    },
    execute: async () => {
      const notebook = options.notebooks?.currentWidget;
      const kernel = notebook?.sessionContext.session?.kernel?.name ?? '';
      await model.list.refresh();
      const target = model.ofKernel(kernel);
      if (notebook && target) {
        const [{ FolderPull }, { openPullDialog }] = await Promise.all([
          import('./folder'),
          import('./view/pull-dialog')
        ]);
        const pull = new FolderPull(service, trans, {
          // Only the front end uses a drive's prefix.
          notebook: app.serviceManager.contents.localPath(
            notebook.context.path
          ),
          target: target.name
        });
        await openPullDialog({ pull, questions: options.questions, trans });
      }
    }
  });

  define(CommandIDs.add, {
    label: trans.__('Add a Target to Run Notebooks On…'),
    caption: trans.__('Add a machine or a cluster as a target, and test it'),
    icon: addIcon,
    args: { host: textArg(trans.__('A host or an alias; asked when missing')) },
    execute: async args => {
      const host = textOf(args.host);
      const { AddTarget, openAddDialog } = await adding();
      const add = new AddTarget(core, service, { host, project: project() });
      if (host) {
        void add.add();
      }
      const kept = await openAddDialog({ ...options, trans, model: add });
      await model.list.refresh();
      await app.serviceManager.kernelspecs.refreshSpecs();
      if (kept) {
        panel.open('compute');
      }
    }
  });

  define(CommandIDs.notebook, {
    label: trans.__('New Notebook on a Target…'),
    caption: trans.__('Open a new notebook whose kernel runs on a target'),
    icon: notebookIcon,
    args: named,
    execute: async args => {
      const { chooseTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, () => true, trans);
      if (target) {
        await (await places()).openNotebook(target);
      }
    }
  });

  define(CommandIDs.connect, {
    label: trans.__('Connect to a Target…'),
    caption: trans.__('Connect now; the host may ask for a password'),
    icon: computeIcon,
    args: named,
    execute: async args => {
      const away = ({ state }: ITarget) => state !== 'up';
      const { chooseTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, away, trans);
      if (target) {
        await service.connect(target.name);
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.disconnect, {
    label: trans.__('Disconnect from a Target…'),
    caption: trans.__(
      'Close the connection; kernels on the target keep running'
    ),
    icon: stopIcon,
    args: named,
    execute: async args => {
      const there = ({ state }: ITarget) =>
        state !== 'idle' && state !== 'failed';
      const { chooseTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, there, trans);
      if (target) {
        await service.disconnect(target.name);
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.release, {
    label: trans.__('Stop an Unused Pod or Job…'),
    caption: trans.__(
      'Stop a pod or job that no kernel uses; its GPUs become free'
    ),
    icon: clearIcon,
    args: {
      ...named,
      host: textArg(trans.__('The host; asked when missing'))
    },
    execute: async args => {
      const has = ({ hosts }: ITarget) =>
        hosts.some(({ left_over }) => left_over);
      const { chooseLeftOver, chooseTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, has, trans);
      const host =
        textOf(args.host) ||
        (target && (await chooseLeftOver(target, trans))?.host_id);
      if (target && host) {
        await service.releaseHost(target.name, host);
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.test, {
    label: trans.__('Test a Target…'),
    caption: trans.__('Connect, and check step by step what works'),
    icon: codeCheckIcon,
    args: named,
    execute: async args => {
      const { chooseTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, () => true, trans);
      if (target) {
        const { AddTarget, openAddDialog } = await adding();
        const test = new AddTarget(core, service, {
          existing: target.name,
          project: project()
        });
        await openAddDialog({ ...options, trans, model: test });
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.settings, {
    label: trans.__('Settings of a Target…'),
    caption: trans.__(
      'Kernels kept ready, the stop of idle kernels, secrets, the price'
    ),
    icon: settingsIcon,
    args: named,
    execute: async args => {
      const own = ({ locked }: ITarget) => !locked;
      const { chooseTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, own, trans);
      if (target) {
        const [{ SettingsForm }, { openSettingsDialog }] = await Promise.all([
          import('./settings'),
          import('./view/settings-dialog')
        ]);
        const form = new SettingsForm(service, target, trans);
        await openSettingsDialog(form, trans);
        await model.list.refresh();
      }
    }
  });

  define(CommandIDs.request, {
    label: trans.__('Show the YAML or Batch Script of a Target…'),
    icon: textEditorIcon,
    args: named,
    execute: async args => {
      const [{ chooseTarget }, { showRequest }] = await Promise.all([
        dialogs(),
        import('./show-request')
      ]);
      const fits = ({ request_language }: ITarget) => request_language !== '';
      const target = await chooseTarget(model, args.name, fits, trans);
      if (target) {
        await showRequest(app, service, target.name, trans);
      }
    }
  });

  define(CommandIDs.clean, {
    label: trans.__('Free Space on a Target…'),
    caption: trans.__(
      'See what GenOps Lab stores on a target, and remove what you no longer need'
    ),
    icon: clearIcon,
    args: named,
    execute: async args => {
      const there = ({ state }: ITarget) => state === 'up';
      const { chooseTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, there, trans);
      if (target) {
        const [{ TargetStorage }, { openStorageDialog }] = await Promise.all([
          import('./storage'),
          import('./view/storage-dialog')
        ]);
        const storage = new TargetStorage(model, trans, target.name);
        await openStorageDialog({ ...options, storage, trans });
      }
    }
  });

  define(CommandIDs.remove, {
    label: trans.__('Delete a Target…'),
    caption: trans.__(
      'Delete a target from this Lab; kernels on it keep running'
    ),
    icon: deleteIcon,
    args: named,
    execute: async args => {
      const own = ({ locked }: ITarget) => !locked;
      const { chooseTarget, removeTarget } = await dialogs();
      const target = await chooseTarget(model, args.name, own, trans);
      if (target && (await removeTarget(model, target, trans))) {
        await model.list.refresh();
        await app.serviceManager.kernelspecs.refreshSpecs();
      }
    }
  });

  addKernelCommands(options, define);
}
