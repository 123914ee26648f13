import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';

import { IGenOpsCore, once, tellFailure } from '../core';
import { IGenOpsPanel, whenSeen } from '../panel';

import { CommandIDs, addCommands } from './commands';
import { doctorIcon } from './icon';

/** Diagnose GenOps Lab; show notices and locked settings. */
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
    const attend = async () => {
      const [{ LockedNote }, { attendServer }, made] = await Promise.all([
        import('./view/locked-note'),
        import('./attention'),
        model()
      ]);
      panel.addNote(
        new LockedNote({ model: made, trans, onDetails: diagnose })
      );
      attendServer({ core, panel, model: made });
      made.status.visible = panel.isSeen;
      panel.seenChanged.connect((_, seen) => {
        made.status.visible = seen;
      }, made);
    };
    whenSeen(panel, () => {
      attend().catch((reason: unknown) => tellFailure(reason, trans));
    });
  }
};
