import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';

import { choose, definer, textArg, textOf } from '../commands';
import { ApiError } from '../errors';

const trans = nullTranslator.load('genops_lab');

const told = () =>
  Notification.manager.notifications.map(({ message }) => message);

afterEach(() => Notification.dismiss());

describe('commands of the rooms', () => {
  it('are in the palette, say what they take, and tell their failures', async () => {
    const commands = new CommandRegistry();
    const addItem = jest.fn();
    const define = definer(
      { commands } as unknown as JupyterFrontEnd,
      { addItem } as unknown as ICommandPalette,
      trans
    );
    const args = { name: textArg('The name') };
    define('test:greet', {
      label: 'Greet',
      args,
      execute: async ({ name }) => {
        if (!textOf(name)) {
          throw new ApiError({
            status: 400,
            code: 'invalid',
            message: 'Nobody is there.',
            hint: 'Give a name.'
          });
        }
        return `Hello ${textOf(name)}`;
      }
    });
    expect(addItem).toHaveBeenCalledWith(
      expect.objectContaining({ command: 'test:greet' })
    );
    const { args: described } = await commands.describedBy('test:greet');
    expect(described).toEqual({ type: 'object', properties: args });
    expect(await commands.execute('test:greet', { name: 'Ada' })).toBe(
      'Hello Ada'
    );
    expect(told()).toEqual([]);
    expect(await commands.execute('test:greet', { name: 7 })).toBeUndefined();
    expect(told()).toEqual(['Nobody is there. Give a name.']);
  });

  it('run once for a double click, as their dialogs load first', async () => {
    const commands = new CommandRegistry();
    const define = definer(
      { commands } as unknown as JupyterFrontEnd,
      null,
      trans
    );
    const opened: unknown[] = [];
    define('test:open', {
      label: 'Open',
      args: {},
      execute: async args => {
        await Promise.resolve();
        return opened.push(args.name);
      }
    });
    const click = (name: string) => commands.execute('test:open', { name });
    expect(await Promise.all([click('a'), click('a')])).toEqual([1, 1]);
    await Promise.all([click('a'), click('b')]);
    expect(opened).toEqual(['a', 'a', 'b']);
  });
});

describe('what a person chooses from', () => {
  const ask = (items: { id: number; word: string }[]) =>
    choose({
      items,
      label: ({ word }) => word,
      title: 'Which?',
      none: 'There is none.',
      trans
    });

  async function shown(): Promise<HTMLElement> {
    for (;;) {
      const found = document.querySelector<HTMLElement>('.jp-Dialog');
      if (found?.querySelector('select')) {
        return found;
      }
      await new Promise(resolve => requestAnimationFrame(resolve));
    }
  }

  it.each([
    [
      ['one', 'two'],
      ['one', 'two']
    ],
    [
      ['same', 'same'],
      ['1. same', '2. same']
    ]
  ])('has a label for each of %j', async (words, labels) => {
    const items = words.map((word, id) => ({ id, word }));
    const chosen = ask(items);
    const dialog = await shown();
    const select = dialog.querySelector('select')!;
    expect(Array.from(select.options, ({ text }) => text)).toEqual(labels);
    select.value = labels[1];
    dialog.querySelector<HTMLElement>('.jp-mod-accept')!.click();
    expect(await chosen).toBe(items[1]);
  });

  it('is told where there is nothing', async () => {
    expect(await ask([])).toBeUndefined();
    expect(told()).toEqual(['There is none.']);
  });
});
