import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { addIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IGenOpsCore, executor, profileIcon } from '../core';
import { IGenOpsPanel, SectionRank } from '../panel';

import { CommandIDs, addCommands } from './commands';
import { CommandIDs as ViewCommands } from './main/command-ids';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- the section's heading counts what it lists
import { ProfilesModel } from './model';

/** The section "Profiles" and its commands. */
export const profilesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:profiles',
  description: 'The section "Profiles" and its commands.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette, INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null
  ): void => {
    const { trans } = core;
    const model = new ProfilesModel(core);
    addCommands({ app, model, trans, notebooks, palette });
    const execute = executor(app.commands);
    const section = panel.addSection({
      id: 'profiles',
      title: trans.__('Profiles'),
      rank: SectionRank.profiles,
      atFirst: 'hidden',
      icon: profileIcon,
      actions: [
        {
          id: 'insert',
          label: trans.__('Insert a %1 cell', '%%profile'),
          icon: addIcon,
          execute: () => execute(CommandIDs.insert)
        }
      ],
      render: async self => {
        const { ProfilesSection } = await import('./view/section');
        return (
          <ProfilesSection
            model={model}
            trans={trans}
            drive={driven => self.drive(driven)}
            onInsert={() => execute(CommandIDs.insert)}
            onOpen={id => execute(ViewCommands.openProfile, { id })}
            onCompare={id =>
              execute(ViewCommands.compareProfiles, { after: id })
            }
            onDelete={id => execute(CommandIDs.remove, { id })}
          />
        );
      }
    });
    section.drive(model.list);
    model.list.changed.connect((_, { value }) => {
      const count = value?.length ?? 0;
      section.setCount(
        count,
        model.list.hasMore
          ? trans.__('%1 profiles, and more', count)
          : trans._n('%1 profile', '%1 profiles', count)
      );
    });
  }
};
