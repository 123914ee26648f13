import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';
import { Panel } from '@lumino/widgets';

import { IGenOpsCore, addDrawn, once } from '../core';
import { IGenOpsPanel, whenSeen } from '../panel';

import { CommandIDs, addCommands } from './commands';
import { doctorIcon } from './icon';

/** What is wrong, and what to do. */
export const doctorPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:doctor',
  description: 'Diagnoses GenOps Lab, and shows notices and locked settings.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null
  ): void => {
    const { trans } = core;
    const model = once(async () => {
      const { DoctorModel } = await import('./model');
      return new DoctorModel(core, {
        page: `${app.name} ${app.version}, ${navigator.userAgent}`,
        state
      });
    });
    addCommands({ app, model, trans, palette, restorer });
    const diagnose = () => {
      void app.commands.execute(CommandIDs.diagnose);
    };
    panel.addAction({
      id: 'diagnose',
      label: trans.__('Diagnose GenOps Lab'),
      icon: doctorIcon,
      execute: diagnose
    });
    const banner = new Panel();
    banner.addClass('gol-Banner');
    panel.addBanner(banner);
    const draw = async () => {
      const [{ NoticesBanner }, made] = await Promise.all([
        import('./view/notices'),
        model()
      ]);
      made.status.visible = panel.isSeen;
      panel.seenChanged.connect((_, seen) => {
        made.status.visible = seen;
      }, made);
      return new NoticesBanner({ model: made, trans, onDetails: diagnose });
    };
    whenSeen(panel, () => addDrawn(banner, draw, trans));
  }
};
