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
import { computeIcon, definer, textArg } from '../core';
import type { IGenOpsPanel } from '../panel';
import type { ITaskNotifier } from '../tasks/tokens';

import { addKernelCommands } from './kernel-commands';
import type { TargetsModel } from './model';
import { KERNEL_PREFIX } from './notebook-target';
import type { QuestionsModel } from './questions';

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

const actions = () => import('./target-actions');

/** Add the commands of targets. */
export function addCommands(options: ICommandsOptions): void {
  const { app, core, palette } = options;
  const { trans } = core;
  const named = {
    name: textArg(trans.__('The name of the target; asked when missing'))
  };
  const define = definer(app, palette, trans);

  define(CommandIDs.choose, {
    label: trans.__('Choose Where to Run This Notebook…'),
    caption: trans.__(
      'Compare this machine and all targets, then start this notebook’s kernel on one of them'
    ),
    icon: computeIcon,
    args: {},
    isEnabled: () => Boolean(options.notebooks?.currentWidget),
    execute: async () => (await actions()).choosePlace(options)
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
    execute: async () => (await actions()).pullFolder(options)
  });

  define(CommandIDs.add, {
    label: trans.__('Add a Target to Run Notebooks On…'),
    caption: trans.__('Add a machine or a cluster as a target, and test it'),
    icon: addIcon,
    args: { host: textArg(trans.__('A host or an alias; asked when missing')) },
    execute: async args => (await actions()).addTarget(options, args)
  });

  define(CommandIDs.notebook, {
    label: trans.__('New Notebook on a Target…'),
    caption: trans.__('Open a new notebook whose kernel runs on a target'),
    icon: notebookIcon,
    args: named,
    execute: async args => (await actions()).openNotebook(options, args)
  });

  define(CommandIDs.connect, {
    label: trans.__('Connect to a Target…'),
    caption: trans.__('Connect now; the host may ask for a password'),
    icon: computeIcon,
    args: named,
    execute: async args => (await actions()).connectTarget(options, args)
  });

  define(CommandIDs.disconnect, {
    label: trans.__('Disconnect from a Target…'),
    caption: trans.__(
      'Close the connection; kernels on the target keep running'
    ),
    icon: stopIcon,
    args: named,
    execute: async args => (await actions()).disconnectTarget(options, args)
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
    execute: async args => (await actions()).releaseHost(options, args)
  });

  define(CommandIDs.test, {
    label: trans.__('Test a Target…'),
    caption: trans.__('Connect, and check step by step what works'),
    icon: codeCheckIcon,
    args: named,
    execute: async args => (await actions()).testTarget(options, args)
  });

  define(CommandIDs.settings, {
    label: trans.__('Settings of a Target…'),
    caption: trans.__(
      'Kernels kept ready, the stop of idle kernels, secrets, the price'
    ),
    icon: settingsIcon,
    args: named,
    execute: async args => (await actions()).changeTarget(options, args)
  });

  define(CommandIDs.request, {
    label: trans.__('Show the YAML or Batch Script of a Target…'),
    icon: textEditorIcon,
    args: named,
    execute: async args => (await actions()).showTargetRequest(options, args)
  });

  define(CommandIDs.clean, {
    label: trans.__('Free Space on a Target…'),
    caption: trans.__(
      'See what GenOps Lab stores on a target, and remove what you no longer need'
    ),
    icon: clearIcon,
    args: named,
    execute: async args => (await actions()).cleanTarget(options, args)
  });

  define(CommandIDs.remove, {
    label: trans.__('Delete a Target…'),
    caption: trans.__(
      'Delete a target from this Lab; kernels on it keep running'
    ),
    icon: deleteIcon,
    args: named,
    execute: async args => (await actions()).deleteTarget(options, args)
  });

  addKernelCommands(options, define);
}
