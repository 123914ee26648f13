import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStateDB } from '@jupyterlab/statedb';
import * as React from 'react';

import { IGenOpsCore, genopsIcon } from '../core';
import { definer, textArg } from '../core/commands';
import { LOAD_EXTENSION, insertCells } from '../core/notebook';
import { IGenOpsPanel } from '../panel';
import { INotebookSection } from '../panel/notebook/tokens';

import { watchMissingMagics } from './missing-magic';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- it decides whether This notebook shows how to start
import { StartModel } from './model';

export namespace CommandIDs {
  export const openQuickstart = 'genops:open-quickstart';
}

/** Open the quickstart from the launcher and the panel; help to load the magics. */
export const quickstartPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:quickstart',
  description: 'Opens the quickstart notebook and shows how to start.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [
    ILauncher,
    IDefaultFileBrowser,
    INotebookTracker,
    ICommandPalette,
    IStateDB,
    INotebookSection
  ],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    launcher: ILauncher | null,
    browser: IDefaultFileBrowser | null,
    notebooks: INotebookTracker | null,
    palette: ICommandPalette | null,
    state: IStateDB | null,
    thisNotebook: INotebookSection | null
  ): void => {
    const { commands, serviceManager } = app;
    const { api, trans } = core;
    const { contents } = serviceManager;
    const folderOf = (path: string) =>
      contents.driveName(path) ? '' : contents.localPath(path);

    definer(
      app,
      palette,
      trans
    )(CommandIDs.openQuickstart, {
      label: args =>
        args.isLauncher
          ? trans.__('GenOps quickstart')
          : trans.__('Open the Quickstart'),
      caption: trans.__(
        'Open a notebook that tracks, profiles and deploys a small model'
      ),
      icon: genopsIcon,
      args: { cwd: textArg(trans.__('Folder for the notebook')) },
      execute: async ({ cwd }) => {
        const path = typeof cwd === 'string' ? cwd : browser?.model.path;
        const body = { folder: folderOf(path ?? '') };
        const found = await api.data(api.http.POST('/quickstart', { body }));
        await commands.execute('docmanager:open', { path: found.path });
      }
    });
    // The theme and its colours are loaded by then.
    void app.restored.then(() =>
      launcher?.add({
        command: CommandIDs.openQuickstart,
        args: { isLauncher: true },
        // The launcher's own category: its name is not translated.
        // eslint-disable-next-line jupyter/no-untranslated-string
        category: 'Notebook',
        kernelIconUrl: iconUrl(),
        rank: 100
      })
    );

    const model = new StartModel(core, state);
    thisNotebook?.addPart({
      rank: 90,
      always: true,
      render: async () => {
        const { StartHere } = await import('./start-here');
        return React.createElement(StartHere, {
          model,
          trans,
          onQuickstart: () => void commands.execute(CommandIDs.openQuickstart),
          onLoad: () =>
            void insertCells([LOAD_EXTENSION], { notebooks, commands })
        });
      }
    });
    model.seen = panel.isSeen;
    panel.seenChanged.connect((_, seen) => {
      model.seen = seen;
    }, model);
    watchMissingMagics(trans);
  }
};

/** The icon as a data URL in the theme's colour: cards of notebooks take only URLs. */
function iconUrl(): string {
  const color = getComputedStyle(document.body).getPropertyValue(
    '--jp-brand-color1'
  );
  const svg = genopsIcon.svgstr.replace(/#616161/g, color.trim() || '$&');
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
