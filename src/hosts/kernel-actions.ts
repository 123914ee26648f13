import { Notification } from '@jupyterlab/apputils';
import { listIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { Resource, confirm, openBelow } from '../core';

import type { ICommandsOptions } from './commands';
import { chooseKernel, kernelTitle, mayAttach } from './dialogs';
import type { IRemoteKernel, ITarget } from './service';
import { KernelLogView } from './view/kernel-log';

/** Attach a running kernel on a target to this Lab. */
export async function attachKernel(
  { app, core, model }: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { trans } = core;
  const { commands } = app;
  const { service } = model;
  const strange = ({ state, ours }: IRemoteKernel) =>
    state === 'running' && !ours;
  const found = await chooseKernel(model, args, strange, trans);
  if (
    found &&
    (args.takeOver === true || (await mayAttach(found.kernel, trans)))
  ) {
    const { target, kernel } = found;
    const { path, message } = await service.attachKernel(
      target.name,
      kernel.kernel_id,
      kernel.attached !== null
    );
    await model.list.refresh();
    if (path) {
      await commands.execute('docmanager:open', { path });
    } else {
      Notification.info(message, {
        actions: [
          {
            label: trans.__('Open a new notebook with the kernel'),
            callback: () => {
              void commands.execute('notebook:create-new', {
                kernelId: kernel.kernel_id
              });
            }
          }
        ],
        autoClose: false
      });
    }
  }
}

/** Stop a kernel on a target, after a question. */
export async function stopKernel(
  { core, model }: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { trans } = core;
  const { service } = model;
  const running = ({ state }: IRemoteKernel) => state === 'running';
  const found = await chooseKernel(model, args, running, trans);
  if (
    found &&
    (await confirm({
      title: trans.__('Stop the kernel “%1”?', kernelTitle(found.kernel)),
      body: trans.__(
        'Its variables on %1 are lost. Its outputs stay.',
        found.target.name
      ),
      action: trans.__('Stop'),
      danger: true,
      trans
    }))
  ) {
    const { target, kernel } = found;
    await service.stopKernel(target.name, kernel.kernel_id);
    await model.list.refresh();
    core.events.refresh();
  }
}

/** Show the log of a kernel on a target. */
export async function showKernelLog(
  options: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const { core, model } = options;
  const { trans } = core;
  const found = await chooseKernel(model, args, () => true, trans);
  if (found) {
    showLog(options, found.target, found.kernel);
  }
}

/** Show the log of a kernel in the main area, once. */
function showLog(
  { app, core, model }: ICommandsOptions,
  target: ITarget,
  kernel: IRemoteKernel
): void {
  const { trans } = core;
  const title = trans.__('Log: %1', kernelTitle(kernel));
  openBelow(app, {
    id: `genops-kernel-log-${kernel.kernel_id}`,
    title,
    icon: listIcon,
    content: () =>
      new KernelLogView({
        log: new Resource({
          fetch: signal =>
            model.service.kernelLog(target.name, kernel.kernel_id, signal),
          trans
        }),
        title,
        trans
      })
  });
}
