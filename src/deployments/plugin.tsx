import { ILayoutRestorer } from '@jupyterlab/application';
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { addIcon, fileIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IGenOpsCore, deploymentIcon, executor } from '../core';
import { IGenOpsPanel, SectionRank } from '../panel';

import { CommandIDs, addCommands } from './commands';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- the section's heading counts what it lists
import { DeploymentsModel } from './model';

/** Deploy models and list the deployments. */
export const deploymentsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:deployments',
  description: 'Deploys models and lists the deployments.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette, ILayoutRestorer, IFileBrowserFactory],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    files: IFileBrowserFactory | null
  ): void => {
    const { trans } = core;
    const model = new DeploymentsModel(core);
    addCommands({ app, model, panel, trans, palette, core, restorer, files });
    const execute = executor(app.commands);
    const apply = {
      id: 'apply',
      label: trans.__('Apply a file…'),
      icon: fileIcon,
      execute: () => execute(CommandIDs.apply)
    };
    const section = panel.addSection({
      id: 'deployments',
      title: trans.__('Deployments'),
      rank: SectionRank.deployments,
      icon: deploymentIcon,
      actions: [
        {
          id: 'deploy',
          label: trans.__('Deploy a model…'),
          icon: addIcon,
          execute: () => execute(CommandIDs.deploy)
        },
        ...(files ? [apply] : [])
      ],
      render: async self => {
        const { DeploymentsSection } = await import('./view/section');
        return (
          <DeploymentsSection
            model={model}
            trans={trans}
            drive={driven => self.drive(driven)}
            onDeploy={() => execute(CommandIDs.deploy)}
            onApply={files && apply.execute}
            onStop={({ name }) => execute(CommandIDs.stop, { name })}
            onRenew={({ name }) => execute(CommandIDs.renew, { name })}
            onTry={({ name }, view) =>
              execute(CommandIDs.playground, { name, view: view ?? 'try' })
            }
            onDelete={({ name }) => execute(CommandIDs.remove, { name })}
            onLineage={({ name }) =>
              execute('genops:open-lineage', { of: `deployment:${name}` })
            }
            onDeployAgain={({ name, model: registered, version }) =>
              execute(CommandIDs.deploy, { name, model: registered, version })
            }
          />
        );
      }
    });
    section.drive(model.list);
    model.list.changed.connect((_, { value }) => {
      const running =
        value?.filter(({ state }) => state === 'running').length ?? 0;
      section.setCount(running, trans._n('%1 running', '%1 running', running));
    });
  }
};
