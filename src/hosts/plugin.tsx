import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ICommandPalette,
  IToolbarWidgetRegistry,
  Notification
} from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker } from '@jupyterlab/notebook';
import * as React from 'react';

import { IComputeSection } from '../kernels/tokens';
import { ApiError, IGenOpsCore, executor, once, tellFailure } from '../core';
import { IGenOpsPanel, whenSeen } from '../panel';
import { INotebookSection } from '../panel/notebook/tokens';
import { ITaskNotifier } from '../tasks/tokens';

import { CommandIDs, addCommands } from './commands';

import { EndedKernels } from './ended-kernels';
import { KernelCommandIDs } from './kernel-commands';
import { refreshKernelspecs } from './kernelspecs';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- toolbars of notebooks show it
import { TargetsModel } from './model';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- a toolbar takes no item that comes later
import { NotebookTarget } from './notebook-target';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- what a notification offers is there with it
import { afterBuild } from './offers';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- a notice may wait when the page is loaded
import { KernelNotices } from './notices';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- a question may wait when the page is loaded
import { QuestionsModel } from './questions';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- a toolbar takes no item that comes later
import { TargetToolbarItem } from './view/toolbar-item';

/** Targets: other machines that run kernels. */
export const targetsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:targets',
  description: 'Runs kernels on other machines, over SSH.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel, IComputeSection, ITaskNotifier],
  optional: [
    ICommandPalette,
    INotebookTracker,
    IToolbarWidgetRegistry,
    INotebookSection,
    IFileBrowserFactory
  ],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    compute: IComputeSection,
    tasks: ITaskNotifier,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    toolbars: IToolbarWidgetRegistry | null,
    thisNotebook: INotebookSection | null,
    files: IFileBrowserFactory | null
  ): void => {
    const { trans } = core;
    const { machine } = compute;
    const model = new TargetsModel(core);
    const questions = new QuestionsModel(core, model.service);
    const dialogs = once(async () => {
      const { QuestionDialogs } = await import('./view/question-dialog');
      return new QuestionDialogs(questions, trans);
    });
    const showQuestions = () => {
      if (!questions.current || questions.isHosted) {
        return;
      }
      questions.changed.disconnect(showQuestions);
      dialogs().catch((reason: unknown) => {
        questions.changed.connect(showQuestions);
        tellFailure(reason, trans);
      });
    };
    questions.changed.connect(showQuestions);
    // A question may exist when the page loads.
    void app.restored.then(() => questions.start());
    refreshKernelspecs(core.events, app.serviceManager.kernelspecs);
    const fail = (reason: unknown) => tellFailure(reason, trans);
    const notices = new KernelNotices(core, model.service, notice => {
      void import('./restart')
        .then(({ openNotebookOf }) => openNotebookOf(options, notice))
        .then(
          notebook => notebook && ended?.offer(notebook, notice.text),
          fail
        );
    });
    void app.restored.then(() => notices.start());
    whenSeen(panel, () => {
      import('./attention').then(
        ({ attendHosts }) =>
          attendHosts({
            panel,
            questions,
            notices,
            trans,
            onAnswer: () => void dialogs().then(each => each.show(), fail)
          }),
        fail
      );
    });
    const options = {
      app,
      core,
      model,
      questions,
      machine,
      tasks,
      panel,
      palette,
      notebooks,
      files
    };
    addCommands(options);
    const execute = executor(app.commands);
    const sessionOf = (kernelId: string) =>
      [...app.serviceManager.sessions.running()].find(
        ({ kernel }) => kernel?.id === kernelId
      );

    const ended =
      notebooks &&
      new EndedKernels({
        notebooks,
        restart: async (notebook, end) => {
          try {
            const { restartEnded } = await import('./restart');
            await restartEnded(options, notebook, end);
          } catch (reason) {
            fail(reason);
          }
        }
      });
    tasks.offer(task => afterBuild(task, trans, execute));

    const openTerminal = (target: string, kernel?: string) =>
      execute(KernelCommandIDs.terminal, { target, kernel });
    const browseFiles =
      files &&
      ((target: string, kernel?: string) =>
        execute(KernelCommandIDs.files, { target, kernel }));

    compute.addPart(async section => {
      const { TargetsView } = await import('./view/section');
      section.drive(model);
      return (
        <TargetsView
          model={model}
          trans={trans}
          drive={driven => section.drive(driven)}
          onAdd={candidate =>
            execute(CommandIDs.add, candidate ? { host: candidate.alias } : {})
          }
          onConnect={({ name }) => execute(CommandIDs.connect, { name })}
          onDisconnect={({ name }) => execute(CommandIDs.disconnect, { name })}
          onTest={({ name }) => execute(CommandIDs.test, { name })}
          onRemove={({ name }) => execute(CommandIDs.remove, { name })}
          onSettings={({ name }) => execute(CommandIDs.settings, { name })}
          onRequest={({ name }) => execute(CommandIDs.request, { name })}
          onClean={({ name }) => execute(CommandIDs.clean, { name })}
          onRelease={({ name }, { host_id }) =>
            execute(CommandIDs.release, { name, host: host_id })
          }
          onNewNotebook={({ name }) => execute(CommandIDs.notebook, { name })}
          onAttachKernel={({ name }, { kernel_id }) =>
            execute(KernelCommandIDs.attachKernel, {
              target: name,
              kernel: kernel_id
            })
          }
          onStopKernel={({ name }, { kernel_id }) =>
            execute(KernelCommandIDs.stopKernel, {
              target: name,
              kernel: kernel_id
            })
          }
          titleOf={({ kernel_id }) =>
            sessionOf(kernel_id)?.name || kernel_id.slice(0, 8)
          }
          onGiveUp={({ kernel_id }) => {
            void app.serviceManager.kernels
              .shutdown(kernel_id)
              .catch((reason: unknown) => {
                Notification.error(ApiError.from(reason, trans).message);
              });
          }}
          onKernelLog={({ name }, { kernel_id }) =>
            execute(KernelCommandIDs.kernelLog, {
              target: name,
              kernel: kernel_id
            })
          }
          onOpenPort={({ name }, { kernel_id }) =>
            execute(KernelCommandIDs.openPort, {
              target: name,
              kernel: kernel_id
            })
          }
          onTerminal={openTerminal}
          onFiles={browseFiles}
        />
      );
    });

    thisNotebook?.addPart({
      rank: 10,
      room: 'compute',
      render: async section => {
        const { NotebookHost } = await import('./view/this-notebook');
        return (
          <NotebookHost
            current={thisNotebook.current}
            model={model}
            section={section}
            trans={trans}
            onConnect={() => {
              void model.list
                .refresh()
                .then(() =>
                  execute(
                    model.targets?.length ? CommandIDs.choose : CommandIDs.add
                  )
                );
            }}
            onReconnect={name => execute(CommandIDs.connect, { name })}
          />
        );
      }
    });

    // schema/targets.json sets the position.
    toolbars?.addFactory<NotebookPanel>(
      'Notebook',
      'genopsTarget',
      notebook =>
        new TargetToolbarItem({
          notebook: new NotebookTarget(notebook.sessionContext, model),
          trans,
          onReconnect: name => execute(CommandIDs.connect, { name }),
          onTakeBack: (target, kernel) =>
            execute(KernelCommandIDs.attachKernel, {
              target,
              kernel,
              takeOver: true
            }),
          onDetach: name => execute(CommandIDs.disconnect, { name }),
          onRestart: why => ended?.offer(notebook, why),
          onLog: (target, kernel) =>
            execute(KernelCommandIDs.kernelLog, { target, kernel }),
          onTerminal: openTerminal,
          onFiles: browseFiles,
          onPull: () => execute(CommandIDs.pull),
          onMove: () => execute(CommandIDs.choose),
          onOpenPanel: () => panel.open('compute')
        })
    );
  }
};
