import type { components } from '../../api/generated';
import type { IGenOpsCore } from '../../core/tokens';
import type { ITaskNotifier } from '../../tasks/tokens';

import { WorkModel } from './work-model';

type Schemas = components['schemas'];
export type INewTrial = Schemas['PromptTrial'];
export type ITrialCost = Schemas['TrialCost'];
export type ITrialSummary = Schemas['TrialSummary'];
export type ITrialTable = Schemas['TrialTable'];
export type ITrialRow = Schemas['TrialRow'];
export type ITrialAnswer = Schemas['TrialAnswer'];

/** Answers above which a table is fetched at the end of its task alone. */
const MOST_LIVE = 500;

/** The runs of one prompt on rows, and the answers of the chosen one. */
export class TrialsModel extends WorkModel<ITrialSummary, ITrialTable> {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    notifier: ITaskNotifier | null
  ) {
    super(core, 'prompt-trial:', 'prompt', notifier);
  }

  cost(body: INewTrial): Promise<ITrialCost> {
    const params = { path: { name: this.name } };
    return this.api.data(
      this.api.http.POST('/prompts/{name}/trials/cost', { params, body })
    );
  }

  /** Begin a run, and choose it. */
  async start(body: INewTrial): Promise<void> {
    const params = { path: { name: this.name } };
    const task = await this.api.data(
      this.api.http.POST('/prompts/{name}/trials', { params, body })
    );
    await this.begun(task);
  }

  protected override isLive(found: ITrialTable | undefined): boolean {
    return (found?.wanted ?? 0) <= MOST_LIVE;
  }

  protected async fetchList(
    name: string,
    signal: AbortSignal
  ): Promise<ITrialSummary[]> {
    const params = { query: { name } };
    const found = await this.api.data(
      this.api.http.GET('/prompt-trials', { params, signal })
    );
    return found.items;
  }

  protected fetchOne(trial: string, signal: AbortSignal): Promise<ITrialTable> {
    const params = { path: { trial } };
    return this.api.data(
      this.api.http.GET('/prompt-trials/{trial}', { params, signal })
    );
  }

  protected sendResume(trial: string): Promise<unknown> {
    const params = { path: { trial } };
    return this.api.data(
      this.api.http.POST('/prompt-trials/{trial}/resume', { params })
    );
  }
}
