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

/** The notebook whose project describes the environment. */
function project({ app, notebooks }: ICommandsOptions): string {
  return app.serviceManager.contents.localPath(
    notebooks?.currentWidget?.context.path ?? ''
  );
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
export async function openNotebook(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const target = await chooseTarget(model, args.name, () => true, trans);
  if (target) {
    await (await places(options)).openNotebook(target);
  }
}

/** Connect to a target. */
export async function connectTarget(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const { service } = model;
  const away = ({ state }: ITarget) => state !== 'up';
  const target = await chooseTarget(model, args.name, away, trans);
  if (target) {
    await service.connect(target.name);
    await model.list.refresh();
  }
}

/** Close the connection to a target. */
export async function disconnectTarget(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const { service } = model;
  const there = ({ state }: ITarget) => state !== 'idle' && state !== 'failed';
  const target = await chooseTarget(model, args.name, there, trans);
  if (target) {
    await service.disconnect(target.name);
    await model.list.refresh();
  }
}

/** Stop a pod or job of a target that no kernel uses. */
export async function releaseHost(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const { service } = model;
  const has = ({ hosts }: ITarget) => hosts.some(({ left_over }) => left_over);
  const target = await chooseTarget(model, args.name, has, trans);
  const host =
    textOf(args.host) ||
    (target && (await chooseLeftOver(target, trans))?.host_id);
  if (target && host) {
    await service.releaseHost(target.name, host);
    await model.list.refresh();
  }
}

/** Test a target step by step in a dialog. */
export async function testTarget(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const { service } = model;
  const target = await chooseTarget(model, args.name, () => true, trans);
  if (target) {
    const { AddTarget, openAddDialog } = await adding();
    const test = new AddTarget(core, service, {
      existing: target.name,
      project: project(options)
    });
    await openAddDialog({ ...options, trans, model: test });
    await model.list.refresh();
  }
}

/** Change the settings of a target in a dialog. */
export async function changeTarget(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const { service } = model;
  const own = ({ locked }: ITarget) => !locked;
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

/** Show the YAML or the batch script of a target. */
export async function showTargetRequest(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { app, core, model } = options;
  const { trans } = core;
  const { service } = model;
  const { showRequest } = await import('./show-request');
  const fits = ({ request_language }: ITarget) => request_language !== '';
  const target = await chooseTarget(model, args.name, fits, trans);
  if (target) {
    await showRequest(app, service, target.name, trans);
  }
}

/** Show what GenOps Lab stores on a target, to remove some of it. */
export async function cleanTarget(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const there = ({ state }: ITarget) => state === 'up';
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

/** Delete a target, after a question. */
export async function deleteTarget(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { app, core, model } = options;
  const { trans } = core;
  const own = ({ locked }: ITarget) => !locked;
  const target = await chooseTarget(model, args.name, own, trans);
  if (target && (await removeTarget(model, target, trans))) {
    await model.list.refresh();
    await app.serviceManager.kernelspecs.refreshSpecs();
  }
}
