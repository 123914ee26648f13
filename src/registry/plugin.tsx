import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { addIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IGenOpsCore, executor, modelIcon } from '../core';
import { IGenOpsPanel, SectionRank } from '../panel';

import { CommandIDs, addCommands } from './commands';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- the section's heading counts what it lists
import { ModelsModel } from './model';

/** Registered models, their versions and aliases. */
export const modelsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:models',
  description: 'Registered models, their versions and aliases.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null
  ): void => {
    const { trans } = core;
    const model = new ModelsModel(core);
    addCommands({ app, core, model, palette });
    const execute = executor(app.commands);
    const section = panel.addSection({
      id: 'models',
      title: trans.__('Models'),
      rank: SectionRank.models,
      icon: modelIcon,
      actions: [
        {
          id: 'register',
          label: trans.__("Register a run's model…"),
          icon: addIcon,
          execute: () => execute(CommandIDs.register)
        }
      ],
      render: async () => {
        const { ModelsSection } = await import('./view/section');
        return (
          <ModelsSection
            model={model}
            trans={trans}
            onRegister={() => execute(CommandIDs.register)}
            onDeploy={({ name, version }) =>
              execute('genops:deploy-model', { model: name, version })
            }
            onSetAlias={({ name, version }) =>
              execute(CommandIDs.setAlias, { model: name, version })
            }
            onRemoveAlias={({ name, version }, alias) =>
              execute(CommandIDs.removeAlias, { model: name, alias, version })
            }
            onEvaluate={({ name, version }) =>
              execute(CommandIDs.evaluate, { model: name, version })
            }
            onDelete={(name, version) =>
              execute(CommandIDs.remove, { model: name, version })
            }
            onHistory={name => execute(CommandIDs.openHistory, { model: name })}
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
          ? trans.__('%1 models, and more', count)
          : trans._n('%1 model', '%1 models', count)
      );
    });
  }
};
