import type { INotebookTracker } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import {
  Resource,
  choose,
  executor,
  formatMoment,
  sweepIcon,
  tellFailure
} from '../../core';
import { LOAD_EXTENSION, insertCells } from '../../core/notebook';
import { ResourcePage } from '../../core/ui/page';
import { CommandIDs as RunCommands } from '../../experiments/commands';
import { deleteSweep } from '../deleting';
import { CommandIDs } from '../plugin';
import type { ISweep } from '../service';
import { SweepsService } from '../service';

import type { ISweepActions } from './actions';
import { SweepList } from './list';
import { SweepDetail } from './detail';

/** The page of one sweep. */
export class SweepPage extends ResourcePage<ISweep> {
  constructor(
    readonly sweepId: string,
    ...options: ConstructorParameters<typeof ResourcePage<ISweep>>
  ) {
    super(...options);
  }
}

/** Makes the pages of sweeps. */
export function sweepPages(options: {
  commands: CommandRegistry;
  core: IGenOpsCore;
  notebooks: INotebookTracker | null;
}): {
  list: () => ResourcePage<ISweep[]>;
  one: (id: string) => SweepPage;
  choose: () => Promise<string>;
} {
  const { commands, core, notebooks } = options;
  const { api, events, trans } = core;
  const service = new SweepsService(api);
  const execute = executor(commands);
  const attempt = (work: Promise<unknown>) =>
    void work.catch((reason: unknown) => tellFailure(reason, trans));
  const actions: ISweepActions = {
    open: id => execute(CommandIDs.openSweep, { id }),
    openRuns: id =>
      execute(RunCommands.openRuns, {
        query: `tags.\`genops.sweep\` = '${id}'`
      }),
    openRun: run_id => execute(RunCommands.openRuns, { run_id }),
    stop: id => attempt(service.stop(id)),
    resume: id => attempt(service.resume(id)),
    remove: sweep => attempt(deleteSweep(api, sweep, trans)),
    insert: () =>
      attempt(
        insertCells(
          [
            LOAD_EXTENSION,
            '%%sweep lr=0.1,0.01 --metric loss\nimport genops\nlr = 0.1\ngenops.log({"loss": lr})'
          ],
          { commands, notebooks }
        )
      )
  };
  return {
    list: () => {
      const list = new Resource({
        fetch: signal => service.list(signal),
        events,
        kinds: ['sweep'],
        trans
      });
      return new ResourcePage(list, {
        title: trans.__('Sweeps'),
        icon: sweepIcon,
        render: () => <SweepList list={list} actions={actions} trans={trans} />
      });
    },
    one: id => {
      const sweep = new Resource({
        fetch: signal => service.get(id, signal),
        events,
        kinds: ['sweep'],
        accepts: change => change.id === '' || change.id === id,
        trans
      });
      return new SweepPage(id, sweep, {
        title: trans.__('Sweep'),
        titleOf: ({ name }) => name,
        icon: sweepIcon,
        render: () => (
          <SweepDetail sweep={sweep} actions={actions} trans={trans} />
        )
      });
    },
    choose: async () => {
      const found = await choose({
        items: await service.list(),
        title: trans.__('Choose a sweep to open'),
        label: ({ name, created_at }) =>
          `${name} (${formatMoment(created_at)})`,
        none: trans.__('There is no sweep to choose.'),
        trans
      });
      return found?.id ?? '';
    }
  };
}
