import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IRouter } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import * as React from 'react';

import { IGenOpsCore, experimentIcon } from '../core';
import { once } from '../core/lazy';
import { IGenOpsPanel, SectionRank } from '../panel';
import { INotebookSection } from '../panel/notebook/tokens';

import { addCommands, CommandIDs } from './commands';
import { addLinkCommands } from './link-commands';
import { addMlflowCommand } from './mlflow-ui';
import type { ExperimentsModel } from './model';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- commands and notices ask by it
import { ExperimentsService } from './service';

/** Shows experiments and runs, with live curves. */
export const experimentsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:experiments',
  description: 'Shows experiments and runs, with live curves.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette, INotebookTracker, IRouter, INotebookSection],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    router: IRouter | null,
    thisNotebook: INotebookSection | null
  ): void => {
    const { commands } = app;
    const { api, events, live, trans } = core;
    const service = new ExperimentsService(api);
    let model: ExperimentsModel | undefined;
    const shown = {
      get opened() {
        return model?.opened ?? null;
      }
    };
    addCommands({
      commands,
      palette,
      notebooks,
      panel,
      model: shown,
      service,
      contents: app.serviceManager.contents,
      trans
    });
    const notices = once(async () => {
      const { DivergenceNotices } = await import('./divergence-notices');
      return new DivergenceNotices({
        core,
        service,
        attend: items => panel.attend('divergence', items),
        open: run_id => void commands.execute(CommandIDs.openRuns, { run_id })
      });
    });
    core.events.changed('divergence').connect((_, { id }) => {
      void notices().then(made => made.look(id));
    });
    addLinkCommands({ app, router, palette, model: shown, service, trans });
    addMlflowCommand({ commands, service, trans });
    palette?.addItem({
      command: CommandIDs.openMlflow,
      category: trans.__('GenOps Lab')
    });
    panel.addSection({
      id: 'experiments',
      title: trans.__('Runs'),
      rank: SectionRank.experiments,
      icon: experimentIcon,
      render: async section => {
        const [
          { ExperimentsView },
          { ExperimentsModel, isRunning },
          { runActions },
          { ExperimentActions },
          media
        ] = await Promise.all([
          import('./view/section'),
          import('./model'),
          import('./run-actions'),
          import('./experiment-actions'),
          import('./media/service')
        ]);
        model = new ExperimentsModel({
          service,
          media: new media.MediaService(api),
          events,
          live,
          trans
        });
        section.drive(model);
        model.list.changed.connect((_, { runs }) => {
          const running = runs.filter(isRunning).length;
          section.setCount(
            running,
            trans._n('%1 run is running', '%1 runs are running', running)
          );
        }, section);
        return (
          <ExperimentsView
            model={model}
            trans={trans}
            actions={runActions(commands)}
            manage={new ExperimentActions(api, model.list, trans)}
          />
        );
      }
    });
    thisNotebook?.addPart({
      rank: 20,
      room: 'experiments',
      render: async section => {
        const { LatestRun } = await import('./view/this-notebook');
        const options = { service, events, trans };
        return (
          <LatestRun
            current={thisNotebook.current}
            section={section}
            options={options}
            trans={trans}
            onOpen={run_id =>
              void commands.execute(CommandIDs.openRuns, { run_id })
            }
            onTrack={() => void commands.execute(CommandIDs.insertTrack)}
          />
        );
      }
    });
  }
};
