import type { components } from '../../api/generated';
import type { IGenOpsCore } from '../../core/tokens';
import type { ITaskNotifier } from '../../tasks/tokens';

import type { IPromptDifference } from './model';
import { WorkModel } from './work-model';

type Schemas = components['schemas'];
export type INewOptimization = Schemas['NewOptimization'];
export type IOptimizationCost = Schemas['OptimizationCost'];
export type IOptimization = Schemas['Optimization'];

/** The optimizations of one prompt, and the chosen one. */
export class OptimizationsModel extends WorkModel<
  IOptimization,
  IOptimization
> {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    notifier: ITaskNotifier | null
  ) {
    super(core, 'prompt-optimization:', 'prompt', notifier);
  }

  cost(body: INewOptimization): Promise<IOptimizationCost> {
    const params = { path: { name: this.name } };
    return this.api.data(
      this.api.http.POST('/prompts/{name}/optimizations/cost', { params, body })
    );
  }

  /** Begin an optimization, and choose it. */
  async start(body: INewOptimization): Promise<void> {
    const params = { path: { name: this.name } };
    const { task } = await this.api.data(
      this.api.http.POST('/prompts/{name}/optimizations', { params, body })
    );
    await this.begun(task);
  }

  /** Save the new text as a version of the prompt. */
  async save(optimization: string): Promise<void> {
    await this.api.data(
      this.api.http.POST('/prompt-optimizations/{optimization}/save', {
        params: { path: { optimization } }
      })
    );
    await this.refresh();
  }

  /** What the new text changes. */
  compare(
    optimization: string,
    signal?: AbortSignal
  ): Promise<IPromptDifference> {
    return this.api.data(
      this.api.http.GET('/prompt-optimizations/{optimization}/difference', {
        params: { path: { optimization } },
        signal
      })
    );
  }

  protected async fetchList(
    name: string,
    signal: AbortSignal
  ): Promise<IOptimization[]> {
    const params = { query: { name } };
    const found = await this.api.data(
      this.api.http.GET('/prompt-optimizations', { params, signal })
    );
    return found.items;
  }

  protected fetchOne(
    optimization: string,
    signal: AbortSignal
  ): Promise<IOptimization> {
    const params = { path: { optimization } };
    return this.api.data(
      this.api.http.GET('/prompt-optimizations/{optimization}', {
        params,
        signal
      })
    );
  }

  protected sendResume(optimization: string): Promise<unknown> {
    const params = { path: { optimization } };
    return this.api.data(
      this.api.http.POST('/prompt-optimizations/{optimization}/resume', {
        params
      })
    );
  }
}
