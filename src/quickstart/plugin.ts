import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStateDB } from '@jupyterlab/statedb';
import { Panel } from '@lumino/widgets';

import { IGenOpsCore, addDrawn, genopsIcon } from '../core';
import { definer, textArg } from '../core/commands';
import { LOAD_EXTENSION, insertCells } from '../core/notebook';
import { IGenOpsPanel, whenSeen } from '../panel';

import { watchMissingMagics } from './missing-magic';

export namespace CommandIDs {
  export const openQuickstart = 'genops:open-quickstart';
}

/** How a person begins: the quickstart from the launcher and the panel, and what loads the magics. */
export const quickstartPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:quickstart',
  description: 'Opens the quickstart notebook, and says how to start.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [
    ILauncher,
    IDefaultFileBrowser,
    INotebookTracker,
    ICommandPalette,
    IStateDB
  ],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    launcher: ILauncher | null,
    browser: IDefaultFileBrowser | null,
    notebooks: INotebookTracker | null,
    palette: ICommandPalette | null,
    state: IStateDB | null
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
      args: { cwd: textArg(trans.__('The folder that gets the notebook')) },
      execute: async ({ cwd }) => {
        const path = typeof cwd === 'string' ? cwd : browser?.model.path;
        const body = { folder: folderOf(path ?? '') };
        const found = await api.data(api.http.POST('/quickstart', { body }));
        await commands.execute('docmanager:open', { path: found.path });
      }
    });
    // The theme's colour is there then.
    void app.restored.then(() =>
      launcher?.add({
        command: CommandIDs.openQuickstart,
        args: { isLauncher: true },
        // The launcher's own category, by its name.
        // eslint-disable-next-line jupyter/no-untranslated-string
        category: 'Notebook',
        kernelIconUrl: iconUrl(),
        rank: 100
      })
    );

    const banner = new Panel();
    banner.addClass('gol-Banner');
    panel.addBanner(banner);
    const draw = async () => {
      const { StartHereBanner, StartModel } = await import('./start-here');
      const model = new StartModel(core, state);
      model.seen = panel.isSeen;
      panel.seenChanged.connect((_, seen) => {
        model.seen = seen;
      }, model);
      return new StartHereBanner({
        model,
        trans,
        onQuickstart: () => void commands.execute(CommandIDs.openQuickstart),
        onLoad: () =>
          void insertCells([LOAD_EXTENSION], { notebooks, commands })
      });
    };
    whenSeen(panel, () => addDrawn(banner, draw, trans));
    watchMissingMagics(trans);
  }
};

/** The launcher's cards of notebooks have pictures with addresses. */
function iconUrl(): string {
  const color = getComputedStyle(document.body).getPropertyValue(
    '--jp-brand-color1'
  );
  const svg = genopsIcon.svgstr.replace(/#616161/g, color.trim() || '$&');
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
