import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IStateDB } from '@jupyterlab/statedb';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { FollowingView, executor, modelIcon } from '../../core';
import { RunTableModel } from '../../experiments/table/model';
import { ViewStore } from '../../experiments/table/saved-views';
import type { ModelsService } from '../service';

import type { IVersionCommands } from './actions';
import { VersionTableService } from './service';
import { versionSubject } from './subject';
import { VersionTable } from './view/version-table';

import '../../../style/experiments/table.css';
import '../../../style/registry/registry.css';
import '../../../style/registry/versions.css';

/** The table of all versions in the main area. It requests nothing while it is not visible. */
export class VersionsPage extends FollowingView<RunTableModel> {
  constructor(private _options: VersionsPage.IOptions) {
    const { core, state } = _options;
    const { api, events, live, trans } = core;
    const service = new VersionTableService(api);
    const store = new ViewStore(null, state, 'genops-lab:versions');
    super(
      new RunTableModel({
        service,
        subject: versionSubject(trans),
        experiments: () => Promise.resolve([]),
        latest: () => Promise.reject(new Error('Versions have no steps.')),
        store,
        events,
        live,
        trans
      })
    );
    this._service = service;
    this.addClass('gol-RunTable-host');
    this.title.label = trans.__('Model versions');
    this.title.caption = trans.__('All versions of all registered models');
    this.title.icon = modelIcon;
    this.title.closable = true;
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    // A new table is drawn after its activation.
    void Promise.resolve(this.renderPromise).then(() => {
      this.node
        .querySelector<HTMLElement>('.gol-QueryBox input')
        ?.focus({ preventScroll: true });
    });
  }

  protected override render(): React.ReactElement {
    const { app, core, models, rendermime } = this._options;
    return (
      <VersionTable
        model={this.model}
        service={this._service}
        models={models}
        rendermime={rendermime}
        commands={versionCommands(app)}
        trans={core.trans}
      />
    );
  }

  private _service: VersionTableService;
}

export namespace VersionsPage {
  export interface IOptions {
    app: JupyterFrontEnd;
    core: IGenOpsCore;
    models: ModelsService;
    rendermime: IRenderMimeRegistry;
    state: IStateDB | null;
  }
}

/** Return the actions on versions; each executes a command. */
function versionCommands({ commands }: JupyterFrontEnd): IVersionCommands {
  const execute = executor(commands);
  return {
    deploy: commands.hasCommand('genops:deploy-model')
      ? ({ model, version }) =>
          execute('genops:deploy-model', { model, version })
      : null,
    setAlias: ({ model, version }) =>
      execute('genops:set-model-alias', { model, version }),
    history: ({ model }) => execute('genops:open-alias-history', { model }),
    remove: ({ model, version }) =>
      execute('genops:delete-model', { model, version }),
    compareRuns: run_ids => execute('genops:compare-runs', { run_ids }),
    openRun: run_id => execute('genops:open-runs', { run_id }),
    register: () => execute('genops:register-model')
  };
}
