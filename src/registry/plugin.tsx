import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';
import { addIcon, listIcon } from '@jupyterlab/ui-components';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
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
  requires: [IGenOpsCore, IGenOpsPanel, IRenderMimeRegistry],
  optional: [ICommandPalette, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    rendermime: IRenderMimeRegistry,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null
  ): void => {
    const { trans } = core;
    const model = new ModelsModel(core);
    addCommands({ app, core, model, palette, rendermime, restorer, state });
    const execute = executor(app.commands);
    const section = panel.addSection({
      id: 'models',
      title: trans.__('Models'),
      rank: SectionRank.models,
      icon: modelIcon,
      actions: [
        {
          id: 'versions',
          label: trans.__('All versions'),
          icon: listIcon,
          execute: () => execute(CommandIDs.openVersions)
        },
        {
          id: 'register',
          label: trans.__('Register a model…'),
          icon: addIcon,
          execute: () => execute(CommandIDs.register)
        }
      ],
      render: async () => {
        const { ModelsSection } = await import('./view/section');
        return (
          <ModelsSection
            {...{ model, rendermime, trans }}
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
            onCard={({ name, version }) =>
              execute(CommandIDs.openCard, { model: name, version })
            }
            onDelete={(name, version) =>
              execute(CommandIDs.remove, { model: name, version })
            }
            onHistory={name => execute(CommandIDs.openHistory, { model: name })}
            onLineage={of => execute(CommandIDs.openLineage, { of })}
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
