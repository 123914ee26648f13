import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { IGenOpsCore } from '../core';
import { PagedResource } from '../core';

import type { IRegisteredModel } from './service';
import { ModelsService } from './service';

/** The registered models. */
export class ModelsModel implements IDisposable {
  constructor(readonly core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>) {
    this.service = new ModelsService(core.api);
    this.list = new PagedResource({
      fetch: (query, signal) => this.service.page(query, signal),
      key: ({ name }) => name,
      events: core.events,
      kinds: ['model'],
      trans: core.trans
    });
  }

  readonly service: ModelsService;
  readonly list: PagedResource<IRegisteredModel>;

  get isDisposed(): boolean {
    return this.list.isDisposed;
  }

  dispose(): void {
    this.list.dispose();
  }
}

/** Why MLflow refuses a model's name; empty for a valid name. */
export function nameProblem(name: string, trans: TranslationBundle): string {
  return /[/:]/.test(name)
    ? trans.__('MLflow does not allow “/” or “:” in a model name.')
    : '';
}
