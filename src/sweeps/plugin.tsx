import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import * as React from 'react';

import { ApiError, IGenOpsCore, PagedResource, experimentIcon } from '../core';
import { IGenOpsPanel } from '../panel';

import type { ISweep } from './service';
import { SweepsService } from './service';

/** The run table's. */
const OPEN_RUNS = 'genops:open-runs';

/** Sweeps: how far they are, their runs, stop and resume. */
export const sweepsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:sweeps',
  description: 'Sweeps: how far they are, their runs, stop and resume.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel
  ): void => {
    const { api, events, trans } = core;
    const service = new SweepsService(api);
    const list = new PagedResource<ISweep>({
      fetch: (query, signal) => service.page(query, signal),
      key: ({ id }) => id,
      events,
      kinds: ['sweep'],
      trans
    });
    const tried = async (work: Promise<ISweep>) => {
      try {
        await work;
      } catch (error) {
        const words = ApiError.from(error, trans);
        Notification.error(`${words.message} ${words.hint}`.trim());
      }
    };
    const section = panel.addSection({
      id: 'sweeps',
      title: trans.__('Sweeps'),
      rank: 25,
      icon: experimentIcon,
      render: async () => {
        const { SweepsSection } = await import('./view/section');
        return (
          <SweepsSection
            list={list}
            trans={trans}
            actions={{
              openRuns: ({ id }) =>
                void app.commands.execute(OPEN_RUNS, {
                  query: `tags.\`genops.sweep\` = '${id}'`
                }),
              stop: ({ id }) => void tried(service.stop(id)),
              resume: ({ id }) => void tried(service.resume(id))
            }}
          />
        );
      }
    });
    section.drive(list);
    list.changed.connect((_, { value }) => {
      const running = (value ?? []).filter(
        ({ state }) => state === 'running'
      ).length;
      section.setCount(
        running,
        trans._n('%1 sweep goes on', '%1 sweeps go on', running)
      );
    });
  }
};
