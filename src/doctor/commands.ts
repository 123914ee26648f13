import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { ILayoutRestorer } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';

import { doctorIcon } from './icon';
import type { DoctorModel } from './model';
import type { DiagnosisView } from './view/diagnosis';

export namespace CommandIDs {
  export const diagnose = 'genops:diagnose';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  model: () => Promise<DoctorModel>;
  trans: TranslationBundle;
  palette: ICommandPalette | null;
  restorer: ILayoutRestorer | null;
}

/** Add the diagnosis command, and restore its view after a reload. */
export function addCommands(options: ICommandsOptions): void {
  const { app, model, trans, palette, restorer } = options;
  const { commands, shell } = app;
  const tracker = new WidgetTracker<MainAreaWidget<DiagnosisView>>({
    namespace: 'genops-diagnosis'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.diagnose,
    name: () => 'diagnosis'
  });

  commands.addCommand(CommandIDs.diagnose, {
    label: trans.__('Diagnose GenOps Lab'),
    caption: trans.__('Check versions, storage, MLflow, GPUs and the network'),
    icon: doctorIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      const [{ DiagnosisView }, made] = await Promise.all([
        import('./view/diagnosis'),
        model()
      ]);
      let widget = tracker.currentWidget;
      if (!widget) {
        widget = new MainAreaWidget({
          content: new DiagnosisView(made, trans)
        });
        widget.id = 'genops-diagnosis';
        widget.title.label = trans.__('Diagnosis');
        widget.content.node.setAttribute('aria-label', widget.title.label);
        widget.title.caption = trans.__('Diagnosis of GenOps Lab');
        widget.title.icon = doctorIcon;
        widget.title.closable = true;
        void tracker.add(widget);
        shell.add(widget, 'main');
      } else {
        void made.diagnosis.refresh();
      }
      shell.activateById(widget.id);
      return widget;
    }
  });
  palette?.addItem({
    command: CommandIDs.diagnose,
    category: trans.__('GenOps Lab')
  });
}
