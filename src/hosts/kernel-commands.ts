import { Notification } from '@jupyterlab/apputils';
import { linkIcon, listIcon, stopIcon } from '@jupyterlab/ui-components';

import type { ICommand } from '../core';
import { Resource, confirm, openBelow, textArg } from '../core';

import type { ICommandsOptions } from './commands';
import type { IRemoteKernel, ITarget } from './service';

export namespace KernelCommandIDs {
  export const attachKernel = 'genops:attach-remote-kernel';
  export const stopKernel = 'genops:stop-remote-kernel';
  export const kernelLog = 'genops:show-remote-kernel-log';
}

const dialogs = () => import('./dialogs');

/** Add the commands about kernels on targets. */
export function addKernelCommands(
  options: ICommandsOptions,
  define: (id: string, command: ICommand) => void
): void {
  const { core, model } = options;
  const { trans } = core;
  const { commands } = options.app;
  const { service } = model;
  const kernelArgs = {
    target: textArg(trans.__('The name of the target; asked when missing')),
    kernel: textArg(trans.__('The id of the kernel; asked when missing'))
  };

  define(KernelCommandIDs.attachKernel, {
    label: trans.__('Attach to a Kernel on a Target…'),
    caption: trans.__('Attach a running kernel, with its state, to this Lab'),
    icon: linkIcon,
    args: {
      ...kernelArgs,
      takeOver: {
        type: 'boolean',
        description: trans.__('Take the kernel from another Lab without asking')
      }
    },
    execute: async args => {
      const strange = ({ state, ours }: IRemoteKernel) =>
        state === 'running' && !ours;
      const { chooseKernel, mayAttach } = await dialogs();
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
  });

  define(KernelCommandIDs.stopKernel, {
    label: trans.__('Stop a Kernel on a Target…'),
    caption: trans.__('End a kernel on a target'),
    icon: stopIcon,
    args: kernelArgs,
    execute: async args => {
      const running = ({ state }: IRemoteKernel) => state === 'running';
      const { chooseKernel, kernelTitle } = await dialogs();
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
  });

  define(KernelCommandIDs.kernelLog, {
    label: trans.__('Show the Log of a Kernel on a Target…'),
    caption: trans.__('Show what the kernel’s process wrote outside of cells'),
    icon: listIcon,
    args: kernelArgs,
    execute: async args => {
      const { chooseKernel } = await dialogs();
      const found = await chooseKernel(model, args, () => true, trans);
      if (found) {
        await showLog(options, found.target, found.kernel);
      }
    }
  });
}

/** Show the log of a kernel in the main area, once. */
async function showLog(
  { app, core, model }: ICommandsOptions,
  target: ITarget,
  kernel: IRemoteKernel
): Promise<void> {
  const { trans } = core;
  const { kernelTitle } = await dialogs();
  const { KernelLogView } = await import('./view/kernel-log');
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
