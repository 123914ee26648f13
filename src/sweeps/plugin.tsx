import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import * as React from 'react';

import { ApiError, IGenOpsCore, PagedResource, sweepIcon } from '../core';
import { IGenOpsPanel, SectionRank } from '../panel';

import type { ISweep } from './service';
import { SweepsService } from './service';

/** A command of the run table. */
const OPEN_RUNS = 'genops:open-runs';

/** List sweeps with their progress; open their runs, stop and resume them. */
export const sweepsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:sweeps',
  description:
    'Lists sweeps with their progress; opens their runs, stops and resumes them.',
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
      rank: SectionRank.sweeps,
      atFirst: 'hidden',
      icon: sweepIcon,
      render: async () => {
        const [{ SweepsSection }, { deleteSweep }] = await Promise.all([
          import('./view/section'),
          import('./deleting')
        ]);
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
              resume: ({ id }) => void tried(service.resume(id)),
              remove: sweep => void deleteSweep(api, sweep, trans)
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
        trans._n('%1 sweep running', '%1 sweeps running', running)
      );
    });
  }
};
