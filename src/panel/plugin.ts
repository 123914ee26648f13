import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import type { IDisposable } from '@lumino/disposable';
import { MessageLoop } from '@lumino/messaging';

import { IGenOpsCore, genopsIcon } from '../core';

import { MoreMenu, SectionCommands } from './more';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- plugins add their sections to it at start
import { GenOpsPanel } from './panel';
import { IGenOpsPanel } from './tokens';

export namespace CommandIDs {
  export const openPanel = 'genops:open-panel';
}

const PLUGIN_ID = 'genops-lab:panel';

/** The rooms that an administrator can switch off, as the server names them. */
const ROOMS = [
  'compute',
  'nsight',
  'experiments',
  'profiles',
  'models',
  'deployments',
  'genai'
];

/** The panel in the left area, to which rooms add their sections. */
export const panelPlugin: JupyterFrontEndPlugin<IGenOpsPanel> = {
  id: PLUGIN_ID,
  description: 'The GenOps Lab panel in the left area.',
  autoStart: true,
  provides: IGenOpsPanel,
  requires: [IGenOpsCore],
  optional: [ICommandPalette, ILayoutRestorer, ISettingRegistry, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    settingRegistry: ISettingRegistry | null,
    state: IStateDB | null
  ): IGenOpsPanel => {
    const { commands, shell } = app;
    const { api, events, live, trans } = core;
    const panel = new GenOpsPanel({
      trans,
      state,
      onMore: anchor => more.open(anchor),
      onRefresh: () => events.refresh(),
      onSettings: () => {
        void commands.execute('settingeditor:open', { query: 'GenOps Lab' });
      }
    });
    const more = new MoreMenu(app, panel, trans);
    shell.add(panel, 'left', { rank: 550, type: 'GenOps Lab' });
    restorer?.add(panel, panel.id);

    const open = (section?: string) =>
      queueMicrotask(() => {
        // The palette activates the page in front once its command has returned, and the
        // page its content: both would take the focus from the panel.
        MessageLoop.flush();
        MessageLoop.flush();
        shell.activateById(panel.id);
        if (section) {
          panel.reveal(section);
        }
      });

    commands.addCommand(CommandIDs.openPanel, {
      label: trans.__('Open the GenOps Lab Panel'),
      caption: trans.__('Show runs, models, deployments and compute'),
      icon: genopsIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            section: {
              type: 'string',
              description: trans.__('The section to open, such as models')
            }
          }
        }
      },
      execute: args =>
        open(typeof args.section === 'string' ? args.section : undefined)
    });
    for (const command of [CommandIDs.openPanel, SectionCommands.reset]) {
      palette?.addItem({ command, category: trans.__('GenOps Lab') });
    }

    // A panel that is seen keeps the server looking for changes made elsewhere.
    let changes: IDisposable | null = null;
    let asked = false;
    panel.seenChanged.connect((_, seen) => {
      changes?.dispose();
      changes = seen
        ? live.subscribe('changes', data => events.receive(data))
        : null;
      if (seen && !asked) {
        asked = true;
        api
          .data(api.http.GET('/status'))
          .then(status => panel.allow(status.rooms, ROOMS))
          // The strip on top says that the server is away.
          .catch(() => {
            asked = false;
          });
      }
    }, panel);

    if (settingRegistry) {
      void Promise.all([settingRegistry.load(PLUGIN_ID), app.restored])
        .then(([settings]) => {
          const apply = () => {
            const on = settings.get('liveUpdates').composite !== false;
            events.paused = !on;
            live.paused = !on;
          };
          settings.changed.connect(apply, panel);
          apply();
          if (settings.get('openOnStart').composite === true) {
            open();
          }
        })
        .catch(reason => {
          console.error('GenOps Lab: its settings cannot be read', reason);
        });
    }

    return {
      addSection: options => panel.addSection(options),
      addAction: action => panel.addAction(action),
      addNote: note => panel.addNote(note),
      attend: (source, items) => panel.attention.put(source, items),
      attention: panel.attention,
      offers: room => panel.offers(room),
      get isSeen() {
        return panel.isSeen;
      },
      seenChanged: panel.seenChanged,
      sectionsChanged: panel.sectionsChanged,
      open
    };
  }
};
