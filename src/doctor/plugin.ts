import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';

import { IGenOpsCore } from '../core';
import { IGenOpsPanel } from '../panel';

import { attendServer } from './attention';
import { CommandIDs, addCommands } from './commands';
import { doctorIcon } from './icon';
import { DoctorModel } from './model';
import { LockedNote } from './view/locked-note';

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
    const model = new DoctorModel(core, {
      page: `${app.name} ${app.version}, ${navigator.userAgent}`,
      state
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
    panel.addNote(new LockedNote({ model, trans, onDetails: diagnose }));
    attendServer({ panel, model, trans });
    model.status.visible = panel.isSeen;
    panel.seenChanged.connect((_, seen) => {
      model.status.visible = seen;
    }, model);
  }
};
