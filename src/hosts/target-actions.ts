/** What the commands of targets do; the code loads when one of them is executed first. */
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { textOf } from '../core';

import type { ICommandsOptions } from './commands';
import { chooseLeftOver, chooseTarget, removeTarget } from './dialogs';
import type { ITarget } from './service';

const adding = async () => ({
  ...(await import('./add')),
  ...(await import('./view/add-dialog'))
});

const places = async (options: ICommandsOptions) => {
  const { Places } = await import('./places');
  return new Places(options);
};

type Action = (
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
) => Promise<void>;

const isOwn = ({ locked }: ITarget) => !locked;

/** The notebook whose project describes the environment. */
function project({ app, notebooks }: ICommandsOptions): string {
  return app.serviceManager.contents.localPath(
    notebooks?.currentWidget?.context.path ?? ''
  );
}

/** Use the target that the arguments name or the user chooses, and show what changed. */
async function withTarget(
  { core, model }: ICommandsOptions,
  { name }: ReadonlyPartialJSONObject,
  fits: (target: ITarget) => boolean,
  use: (target: ITarget) => Promise<unknown>
): Promise<void> {
  const target = await chooseTarget(model, name, fits, core.trans);
  if (target) {
    await use(target);
    await model.list.refresh();
  }
}

/** Ask where the current notebook is to run, and start its kernel there. */
export async function choosePlace(options: ICommandsOptions): Promise<void> {
  const notebook = options.notebooks?.currentWidget;
  if (notebook) {
    await (await places(options)).choose(notebook);
  }
}

/** Show which files of the current notebook's folder can be pulled from its target, and pull them. */
export async function pullFolder(options: ICommandsOptions): Promise<void> {
  const { app, core, model } = options;
  const { trans } = core;
  const { service } = model;
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
      notebook: app.serviceManager.contents.localPath(notebook.context.path),
      target: target.name
    });
    await openPullDialog({ pull, questions: options.questions, trans });
  }
}

/** Add a target in a dialog; a host in the arguments is tested at once. */
export async function addTarget(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { app, core, model, panel } = options;
  const { trans } = core;
  const { service } = model;
  const host = textOf(args.host);
  const { AddTarget, openAddDialog } = await adding();
  const add = new AddTarget(core, service, { host, project: project(options) });
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

/** Open a new notebook on a target. */
export const openNotebook: Action = (options, args) =>
  withTarget(
    options,
    args,
    () => true,
    async target => (await places(options)).openNotebook(target)
  );

/** Connect to a target. */
export const connectTarget: Action = (options, args) =>
  withTarget(
    options,
    args,
    ({ state }) => state !== 'up',
    ({ name }) => options.model.service.connect(name)
  );

/** Close the connection to a target. */
export const disconnectTarget: Action = (options, args) =>
  withTarget(
    options,
    args,
    ({ state }) => state !== 'idle' && state !== 'failed',
    ({ name }) => options.model.service.disconnect(name)
  );

/** Stop a pod or job of a target that no kernel uses. */
export const releaseHost: Action = (options, args) =>
  withTarget(
    options,
    args,
    ({ hosts }) => hosts.some(({ left_over }) => left_over),
    async target => {
      const host =
        textOf(args.host) ||
        (await chooseLeftOver(target, options.core.trans))?.host_id;
      if (host) {
        await options.model.service.releaseHost(target.name, host);
      }
    }
  );

/** Test a target step by step in a dialog. */
export const testTarget: Action = (options, args) =>
  withTarget(
    options,
    args,
    () => true,
    async target => {
      const { core, model } = options;
      const { AddTarget, openAddDialog } = await adding();
      const test = new AddTarget(core, model.service, {
        existing: target.name,
        project: project(options)
      });
      await openAddDialog({ ...options, trans: core.trans, model: test });
    }
  );

/** Change the settings of a target in a dialog. */
export const changeTarget: Action = (options, args) =>
  withTarget(options, args, isOwn, async target => {
    const { trans } = options.core;
    const [{ SettingsForm }, { openSettingsDialog }] = await Promise.all([
      import('./settings'),
      import('./view/settings-dialog')
    ]);
    const form = new SettingsForm(options.model.service, target, trans);
    await openSettingsDialog(form, trans);
  });

/** Show the YAML or the batch script of a target. */
export const showTargetRequest: Action = (options, args) =>
  withTarget(
    options,
    args,
    ({ request_language }) => request_language !== '',
    async ({ name }) => {
      const { app, core, model } = options;
      const { showRequest } = await import('./show-request');
      await showRequest(app, model.service, name, core.trans);
    }
  );

/** Show what GenOps Lab stores on a target, to remove some of it. */
export const cleanTarget: Action = (options, args) =>
  withTarget(
    options,
    args,
    ({ state }) => state === 'up',
    async target => {
      const { trans } = options.core;
      const [{ TargetStorage }, { openStorageDialog }] = await Promise.all([
        import('./storage'),
        import('./view/storage-dialog')
      ]);
      const storage = new TargetStorage(options.model, trans, target.name);
      await openStorageDialog({ ...options, storage, trans });
    }
  );

/** Delete a target, after a question. */
export const deleteTarget: Action = (options, args) =>
  withTarget(options, args, isOwn, async target => {
    const { app, core, model } = options;
    if (await removeTarget(model, target, core.trans)) {
      await app.serviceManager.kernelspecs.refreshSpecs();
    }
  });
