import type { IDisposable } from '@lumino/disposable';

import type { components } from '../../api/generated';
import { everyPage } from '../../core/paging';
import { Resource } from '../../core/resource';
import type { IGenOpsCore } from '../../core/tokens';
import type { IEndpoints } from '../endpoints/service';
import { EndpointsService } from '../endpoints/service';

export type IDataSet = components['schemas']['DataSet'];
type ITrialModel = components['schemas']['TrialModel'];

/** What prompts are run with: models that answer, and data sets of MLflow. */
export class PromptSources implements IDisposable {
  constructor(core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>) {
    const { api, events, trans } = core;
    const endpoints = new EndpointsService(api);
    this.endpoints = new Resource<IEndpoints>({
      fetch: signal => endpoints.list(signal),
      events,
      kinds: ['endpoint', 'deployment'],
      isEmpty: found => found.endpoints.length === 0,
      trans
    });
    this.dataSets = new Resource<IDataSet[]>({
      fetch: signal =>
        everyPage<IDataSet>(
          query =>
            api.data(api.http.GET('/data-sets', { params: { query }, signal })),
          ({ name }) => name,
          signal
        ),
      trans
    });
  }

  readonly endpoints: Resource<IEndpoints>;
  readonly dataSets: Resource<IDataSet[]>;

  set visible(value: boolean) {
    this.endpoints.visible = value;
  }

  get isDisposed(): boolean {
    return this.endpoints.isDisposed;
  }

  dispose(): void {
    this.endpoints.dispose();
    this.dataSets.dispose();
  }
}

/** A model of the list of endpoints. */
export function modelOf(name: string): ITrialModel {
  return {
    name,
    endpoint: name,
    // An endpoint of the list has these itself.
    deployment: '',
    url: '',
    model: '',
    key: '',
    price: null,
    at_once: 8
  };
}
