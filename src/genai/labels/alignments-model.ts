import type { components } from '../../api/generated';
import { Resource } from '../../core/resource';
import type { IGenOpsCore } from '../../core/tokens';
import type { ITaskNotifier } from '../../tasks/tokens';
import type { IEndpoints } from '../endpoints/service';
import { EndpointsService } from '../endpoints/service';
import { WorkModel } from '../prompts/work-model';

import type { ILabelReport } from './model';
import type { ScorerContents } from './scorer-file';

type Schemas = components['schemas'];
export type INewAlignment = Schemas['NewAlignment'];
export type IAlignmentCost = Schemas['AlignmentCost'];
export type IAlignment = Schemas['JudgeAlignment'];

/** The alignments of the judges of one evaluation, and the chosen one. */
export class AlignmentsModel extends WorkModel<IAlignment, IAlignment> {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    readonly contents: ScorerContents,
    /** The judges beside labels of the queue. */
    readonly report: ILabelReport,
    notifier: ITaskNotifier | null
  ) {
    super(core, 'judge-alignment:', 'label', notifier);
    const { api, events, trans } = core;
    this.trans = trans;
    const endpoints = new EndpointsService(api);
    this.endpoints = new Resource<IEndpoints>({
      fetch: signal => endpoints.list(signal),
      events,
      kinds: ['endpoint', 'deployment'],
      isEmpty: found => found.endpoints.length === 0,
      trans
    });
    this.show(report.queue.evaluation ?? '');
  }

  readonly trans: IGenOpsCore['trans'];
  /** The models that can write criteria. */
  readonly endpoints: Resource<IEndpoints>;

  override set visible(value: boolean) {
    super.visible = value;
    this.endpoints.visible = value;
  }

  override dispose(): void {
    this.endpoints.dispose();
    super.dispose();
  }

  cost(body: INewAlignment): Promise<IAlignmentCost> {
    return this.api.data(this.api.http.POST('/judge-alignment-cost', { body }));
  }

  /** Begin an alignment, and choose it. */
  async start(body: INewAlignment): Promise<void> {
    const { task } = await this.api.data(
      this.api.http.POST('/judge-alignments', { body })
    );
    await this.begun(task);
  }

  /** Register the new judge in MLflow. */
  async keep(alignment: string): Promise<void> {
    await this.api.data(
      this.api.http.POST('/judge-alignments/{alignment}/keep', {
        params: { path: { alignment } }
      })
    );
    await this.refresh();
  }

  /** Let the new judge mark the kept answers of the evaluation, as a task. */
  async score({ evaluation, rubric = '', kept_as }: IAlignment): Promise<void> {
    await this.api.data(
      this.api.http.POST('/answer-evaluations/{id}/scores', {
        params: { path: { id: evaluation } },
        body: { text: rubric, name: kept_as ?? '' }
      })
    );
  }

  protected async fetchList(
    evaluation: string,
    signal: AbortSignal
  ): Promise<IAlignment[]> {
    const params = { query: { evaluation } };
    const found = await this.api.data(
      this.api.http.GET('/judge-alignments', { params, signal })
    );
    return found.items;
  }

  protected fetchOne(
    alignment: string,
    signal: AbortSignal
  ): Promise<IAlignment> {
    const params = { path: { alignment } };
    return this.api.data(
      this.api.http.GET('/judge-alignments/{alignment}', { params, signal })
    );
  }

  protected sendResume(alignment: string): Promise<unknown> {
    const params = { path: { alignment } };
    return this.api.data(
      this.api.http.POST('/judge-alignments/{alignment}/resume', { params })
    );
  }
}
