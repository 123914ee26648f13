import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Notification } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import type { CodeMirrorEditor } from '@jupyterlab/codemirror';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IGenOpsCore } from '../../../core';
import { definer, profileIcon, textArg, textOf } from '../../../core';
import { formatMicroseconds } from '../../figures';
import type { ILineTime, IProfile, ProfilesService } from '../../service';
import { CommandIDs } from '../command-ids';

import type { Basis } from './groups';
import { basisOf, forwardOf } from './groups';
import type { Gutters } from './gutter';

/** Add the command that shows or hides line times in a notebook. */
export function addGutterCommand(options: {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  service: ProfilesService;
  palette: ICommandPalette | null;
  notebooks: INotebookTracker | null;
}): void {
  const { app, core, service, palette, notebooks } = options;
  const { trans } = core;
  if (!notebooks) {
    return;
  }
  let shown: ShownTimes | null = null;
  const hide = () => {
    shown?.dispose();
    shown = null;
    app.commands.notifyCommandChanged(CommandIDs.toggleLineTimes);
  };

  definer(
    app,
    palette,
    trans
  )(CommandIDs.toggleLineTimes, {
    label: trans.__('Show Line Times in the Notebook'),
    caption: trans.__(
      'Show or hide the device time of each line, from the newest profile of the notebook'
    ),
    icon: profileIcon,
    args: {
      id: textArg(
        trans.__(
          'The id of the profile; the default is the newest profile of the active notebook'
        )
      )
    },
    execute: async args => {
      const id = textOf(args.id);
      if (shown && (!id || id === shown.profileId)) {
        hide();
        return;
      }
      const profile = await profileOf(service, id, notebooks);
      const lines = cellLines(profile);
      if (!profile || lines.length === 0) {
        Notification.info(
          trans.__('No profile of this notebook has times by line.')
        );
        return;
      }
      if (!notebooks.find(each => each.context.path === profile.notebook)) {
        await app.commands.execute('docmanager:open', {
          path: profile.notebook
        });
      }
      const panel = notebooks.find(
        each => each.context.path === profile.notebook
      );
      if (!panel) {
        return;
      }
      await panel.context.ready;
      hide();
      const { Gutters } = await import('./gutter');
      const times = new ShownTimes(
        panel,
        profile.id,
        lines,
        new Gutters(),
        trans
      );
      shown = times;
      panel.disposed.connect(() => {
        if (shown === times) {
          hide();
        }
      });
      app.shell.activateById(panel.id);
    }
  });
}

async function profileOf(
  service: ProfilesService,
  id: string,
  notebooks: INotebookTracker
): Promise<IProfile | undefined> {
  if (id) {
    return service.get(id);
  }
  const path = notebooks.currentWidget?.context.path;
  const newest = (await service.list()).find(
    ({ notebook, state }) => notebook === path && state === 'ready'
  );
  return newest && service.get(newest.id);
}

function cellLines(profile: IProfile | undefined): ILineTime[] {
  return (
    profile?.summary?.attribution?.lines.filter(({ place }) => place.cell) ?? []
  );
}

/**
 * Times next to a notebook's code, also in cells whose editors are created
 * later.
 */
class ShownTimes {
  constructor(
    private _panel: NotebookPanel,
    readonly profileId: string,
    lines: readonly ILineTime[],
    private _gutters: Gutters,
    private _trans: TranslationBundle
  ) {
    for (const line of lines) {
      const cell = this._byCell.get(line.place.cell) ?? [];
      cell.push(line);
      this._byCell.set(line.place.cell, cell);
    }
    this._basis = basisOf(lines);
    this._most = Math.max(...lines.map(time => time[this._basis]));
    const { content } = _panel;
    content.cellInViewportChanged.connect(this._onCell, this);
    content.widgets.forEach(cell => this._onCell(content, cell));
  }

  dispose(): void {
    if (!this._panel.isDisposed) {
      this._panel.content.cellInViewportChanged.disconnect(this._onCell, this);
      this._gutters.clear();
    }
  }

  private _onCell(_: unknown, cell: Cell): void {
    const times = this._byCell.get(cell.model.id);
    const view = (cell.editor as CodeMirrorEditor | null)?.editor;
    if (times && view && !this._gutters.has(view)) {
      this._gutters.show(view, times, this._basis, this._most, time =>
        this._words(time)
      );
    }
  }

  private _words(time: ILineTime): string {
    if (this._basis === 'cpu_us') {
      return this._trans.__('%1 on the CPU', formatMicroseconds(time.cpu_us));
    }
    return this._trans.__(
      '%1 on the device: %2 forward, %3 backward, %4 kernels; %5 on the CPU',
      formatMicroseconds(time.device_us),
      formatMicroseconds(forwardOf(time)),
      formatMicroseconds(time.backward_us),
      time.kernels,
      formatMicroseconds(time.cpu_us)
    );
  }

  private _byCell = new Map<string, ILineTime[]>();
  private _basis: Basis;
  private _most: number;
}
