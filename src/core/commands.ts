/** Commands of the features: how they are added, report failures and ask for missing arguments. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError } from './errors';
import { titled } from './ui/titled';

export type ICommand = Pick<
  CommandRegistry.ICommandOptions,
  'label' | 'caption' | 'icon' | 'isEnabled' | 'isVisible'
> & {
  args: Record<string, { type: string; description: string }>;
  execute: (args: ReadonlyPartialJSONObject) => Promise<unknown>;
};

/** Time for which a failure is shown. */
const TOLD_MS = 10_000;

/** The longest time between the two clicks of a double click. */
const DOUBLE_CLICK_MS = 1000;

/** Return a function that executes commands without waiting: each command shows its own failure. */
export function executor(
  commands: CommandRegistry
): (id: string, args?: ReadonlyPartialJSONObject) => void {
  return (id, args = {}) => {
    void commands.execute(id, args);
  };
}

/** Show why an action of the user failed. */
export function tellFailure(reason: unknown, trans: TranslationBundle): void {
  const error = ApiError.from(reason, trans);
  Notification.error(`${error.message} ${error.hint}`.trim(), {
    // By default an error changes only a number at the window's edge.
    autoClose: TOLD_MS
  });
}

/** Return a function that adds commands to the palette and shows their failures. */
export function definer(
  { commands }: JupyterFrontEnd,
  palette: ICommandPalette | null,
  trans: TranslationBundle
): (id: string, command: ICommand) => void {
  return (id, { args: properties, execute, ...look }) => {
    const attempt = async (args: ReadonlyPartialJSONObject) => {
      try {
        return await execute(args);
      } catch (reason) {
        tellFailure(reason, trans);
        return undefined;
      }
    };
    let last = { key: '', at: 0, done: Promise.resolve<unknown>(undefined) };
    commands.addCommand(id, {
      ...look,
      describedBy: { args: { type: 'object', properties } },
      execute: args => {
        // The second click of a double click comes while the dialog of the first still loads.
        const [key, at] = [JSON.stringify(args), Date.now()];
        if (key !== last.key || at - last.at > DOUBLE_CLICK_MS) {
          const begun = { key, at, done: attempt(args) };
          last = begun;
          void begun.done.finally(() => {
            begun.key = '';
          });
        }
        return last.done;
      }
    });
    palette?.addItem({ command: id, category: trans.__('GenOps Lab') });
  };
}

/** The description of an argument that is text. */
export function textArg(description: string): {
  type: string;
  description: string;
} {
  return { type: 'string', description };
}

/** A text argument; empty if it is missing or no text. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Let the user choose an item. Resolves to undefined when the user cancels, or when there is no item. */
export async function choose<T>(options: {
  items: readonly T[];
  label: (item: T) => string;
  title: string;
  /** Message when there is no item. */
  none: string;
  trans: TranslationBundle;
}): Promise<T | undefined> {
  const { items, title, none, trans } = options;
  if (items.length === 0) {
    Notification.info(none);
    return undefined;
  }
  const words = items.map(options.label);
  // The dialog returns a label: number the items where two have the same.
  const labels =
    new Set(words).size === words.length
      ? words
      : words.map((each, index) => `${index + 1}. ${each}`);
  const { button, value } = await titled(title, () =>
    InputDialog.getItem({ title, items: labels, okLabel: trans.__('Choose') })
  );
  return button.accept && value !== null
    ? items[labels.indexOf(value)]
    : undefined;
}
