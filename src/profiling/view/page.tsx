import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { Resource, executor, profileIcon } from '../../core';
import { ResourcePage } from '../../core/ui/page';
import { CommandIDs as RunCommands } from '../../experiments/commands';
import { CommandIDs } from '../commands';
import { CommandIDs as ViewCommands } from '../main/command-ids';
import type { IProfile, ProfilesService } from '../service';

import type { IProfileActions } from './list';
import { ProfileList } from './list';

/** Make the page "Profiles". */
export function profilesPage(options: {
  commands: CommandRegistry;
  core: IGenOpsCore;
  service: ProfilesService;
}): ResourcePage<IProfile[]> {
  const { core, service } = options;
  const { events, trans } = core;
  const execute = executor(options.commands);
  const actions: IProfileActions = {
    open: id => execute(ViewCommands.openProfile, { id }),
    openRun: run_id => execute(RunCommands.openRuns, { run_id }),
    compare: id => execute(ViewCommands.compareProfiles, { after: id }),
    remove: id => execute(CommandIDs.remove, { id }),
    insert: () => execute(CommandIDs.insert)
  };
  const list = new Resource({
    fetch: signal => service.list(signal),
    events,
    kinds: ['profile'],
    trans
  });
  return new ResourcePage(list, {
    title: trans.__('Profiles'),
    icon: profileIcon,
    render: () => <ProfileList list={list} actions={actions} trans={trans} />
  });
}
