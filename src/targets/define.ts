import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError } from '../core';

export type ICommand = Pick<
  CommandRegistry.ICommandOptions,
  'label' | 'caption' | 'icon' | 'isEnabled'
> & {
  args: Record<string, { type: string; description: string }>;
  execute: (args: ReadonlyPartialJSONObject) => Promise<unknown>;
};

/** Adds commands that are in the palette and whose failures are told. */
export function definer(
  { commands }: JupyterFrontEnd,
  palette: ICommandPalette | null,
  trans: TranslationBundle
): (id: string, command: ICommand) => void {
  return (id, { args: properties, execute, ...look }) => {
    commands.addCommand(id, {
      ...look,
      describedBy: { args: { type: 'object', properties } },
      execute: async args => {
        try {
          return await execute(args);
        } catch (reason) {
          const error = ApiError.from(reason, trans);
          Notification.error(`${error.message} ${error.hint}`.trim());
          return undefined;
        }
      }
    });
    palette?.addItem({ command: id, category: trans.__('GenOps Lab') });
  };
}
