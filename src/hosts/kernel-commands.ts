import {
  folderIcon,
  launchIcon,
  linkIcon,
  listIcon,
  stopIcon,
  terminalIcon
} from '@jupyterlab/ui-components';

import type { ICommand } from '../core';
import { textArg } from '../core';

import type { ICommandsOptions } from './commands';

export namespace KernelCommandIDs {
  export const attachKernel = 'genops:attach-remote-kernel';
  export const stopKernel = 'genops:stop-remote-kernel';
  export const kernelLog = 'genops:show-remote-kernel-log';
  export const openPort = 'genops:open-port';
  export const terminal = 'genops:open-terminal';
  export const files = 'genops:browse-files';
}

const actions = () => import('./kernel-actions');

/** Add the commands about kernels on targets. */
export function addKernelCommands(
  options: ICommandsOptions,
  define: (id: string, command: ICommand) => void
): void {
  const { trans } = options.core;
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
    execute: async args => (await actions()).attachKernel(options, args)
  });

  define(KernelCommandIDs.stopKernel, {
    label: trans.__('Stop a Kernel on a Target…'),
    caption: trans.__('End a kernel on a target'),
    icon: stopIcon,
    args: kernelArgs,
    execute: async args => (await actions()).stopKernel(options, args)
  });

  define(KernelCommandIDs.kernelLog, {
    label: trans.__('Show the Log of a Kernel on a Target…'),
    caption: trans.__('Show what the kernel’s process wrote outside of cells'),
    icon: listIcon,
    args: kernelArgs,
    execute: async args => (await actions()).showKernelLog(options, args)
  });

  define(KernelCommandIDs.openPort, {
    label: trans.__('Open a Port of a Kernel on a Target…'),
    caption: trans.__('Open a program of the kernel in the browser'),
    icon: launchIcon,
    args: kernelArgs,
    execute: async args => (await import('./open-port')).openPort(options, args)
  });

  define(KernelCommandIDs.terminal, {
    label: trans.__('Open a Terminal on a Target…'),
    caption: trans.__('Open a shell on the host, or beside a kernel'),
    icon: terminalIcon,
    args: kernelArgs,
    execute: async args =>
      (await import('./terminal')).openTerminal(options, args)
  });

  const { files } = options;
  if (files) {
    define(KernelCommandIDs.files, {
      label: trans.__('Browse the Files of a Target…'),
      caption: trans.__('Show the home of the host in a file browser'),
      icon: folderIcon,
      args: kernelArgs,
      execute: async args =>
        (await import('./host-files')).browseFiles(options, files, args)
    });
  }
}
