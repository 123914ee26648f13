import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { listIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { OutputsService } from '../service';

import type { FullOutputView } from './view';

export namespace CommandIDs {
  export const openFullOutput = 'genops:open-full-output';
}

export interface IOptions {
  app: JupyterFrontEnd;
  service: OutputsService;
  trans: TranslationBundle;
  restorer: ILayoutRestorer | null;
  palette: ICommandPalette | null;
  /** The active cell's hidden output, as the command's arguments. */
  active: () => IFullOutput | null;
}

/** A cell's run whose full output can be opened. */
export interface IFullOutput {
  kernel_id: string;
  msg_id: string;
  name: string;
}

/**
 * Add the command that opens the full output of a cell, and restore its views
 * after a reload.
 */
export function addCommands(options: IOptions): void {
  const { app, service, trans, restorer, palette, active } = options;
  const { commands, shell } = app;
  const tracker = new WidgetTracker<MainAreaWidget<FullOutputView>>({
    namespace: 'genops-full-output'
  });
  const args = new Map<string, ReadonlyPartialJSONObject>();
  void restorer?.restore(tracker, {
    command: CommandIDs.openFullOutput,
    name: widget => widget.id,
    args: widget => args.get(widget.id) ?? {}
  });

  commands.addCommand(CommandIDs.openFullOutput, {
    label: trans.__('Open Full Output'),
    caption: trans.__(
      'Everything that a cell printed, including the part that it does not show'
    ),
    describedBy: {
      args: {
        type: 'object',
        properties: {
          kernel_id: { type: 'string', description: trans.__('The kernel') },
          msg_id: {
            type: 'string',
            description: trans.__('The execution that printed the output')
          },
          name: {
            type: 'string',
            description: trans.__('The notebook, for the title')
          }
        }
      }
    },
    isEnabled: given => Boolean(given.msg_id) || active() !== null,
    execute: async asked => {
      const [{ FullOutputModel }, { FullOutputView }] = await Promise.all([
        import('./model'),
        import('./view')
      ]);
      const given = asked.msg_id ? asked : { ...active() };
      const kernelId = String(given.kernel_id ?? '');
      const msgId = String(given.msg_id ?? '');
      if (!kernelId || !msgId) {
        return;
      }
      const id = `genops-full-output-${kernelId}-${msgId}`;
      let widget = tracker.find(each => each.id === id);
      if (!widget) {
        const model = new FullOutputModel({ service, kernelId, msgId, trans });
        widget = new MainAreaWidget({
          content: new FullOutputView(model, trans)
        });
        widget.id = id;
        widget.title.label = given.name
          ? trans.__('Output: %1', String(given.name))
          : trans.__('Full output');
        widget.title.caption = trans.__('Everything that the cell printed');
        widget.title.icon = listIcon;
        widget.title.closable = true;
        args.set(id, given);
        widget.disposed.connect(() => args.delete(id), args);
        void tracker.add(widget);
        shell.add(widget, 'main');
      }
      shell.activateById(id);
      return widget;
    }
  });
  palette?.addItem({
    command: CommandIDs.openFullOutput,
    category: trans.__('GenOps Lab')
  });
}
