import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';
import { everyPage } from '../../core';
import type { ITask } from '../../tasks/service';

type Schemas = components['schemas'];
export type IEvaluation = Schemas['AnswerEvaluation'];
export type IModelAnswers = Schemas['ModelAnswers'];
export type IEstimate = Schemas['ScoreEstimate'];
export type IScored = Schemas['ScoredModel'];
export type ICompared = Schemas['ComparedModels'];
export type IReport = Schemas['ScoresReport'];
export type IComparedResults = Schemas['ComparedResults'];
export type IExamples = Schemas['Examples'];
export type IExample = Schemas['ExampleLine'];
export type IExampleResult = Schemas['ExampleResult'];
export type IAnsweredRow = Schemas['AnsweredRow'];
export type IAnswer = Schemas['ShownAnswer'];
export type IBegun = Schemas['BegunAnswers'];
export type IPlan = Schemas['PlannedEvaluation'];
export type IPlannedCalls = Schemas['PlannedCalls'];
export type ITarget = Schemas['Target'];

/** An evaluation file as it was read, and where it asks. */
export type INewEvaluation = Pick<
  Schemas['NewAnswerEvaluation'],
  'text' | 'path' | 'on'
>;

/** An evaluation, and the task that works on it. */
export interface IListed {
  readonly evaluation: IEvaluation;
  readonly task: ITask | undefined;
}

/** One evaluation with its results; `report` is null until its answers are scored. */
export interface IResult extends IListed {
  readonly report: IReport | null;
}

/** Answers that stand beside others: those of a model in an evaluation. */
export interface ISide {
  readonly evaluation: string;
  readonly model: string;
  readonly label: string;
  /** The head of a narrow column. */
  readonly short: string;
}

/** The operations of evaluations of answers. Each call rejects with an ApiError. */
export class AnswersService {
  constructor(private _api: GenOpsApi) {}

  async list(signal?: AbortSignal): Promise<IListed[]> {
    const { http } = this._api;
    const [found, tasks] = await Promise.all([
      everyPage<IEvaluation>(
        query =>
          this._api.data(
            http.GET('/answer-evaluations', { params: { query }, signal })
          ),
        ({ id }) => id,
        signal
      ),
      this._tasks(signal)
    ]);
    return found.map(evaluation => ({
      evaluation,
      task: tasks.get(evaluation.id)
    }));
  }

  async get(id: string, signal?: AbortSignal): Promise<IResult> {
    const [found, tasks] = await Promise.all([
      this._api.data(
        this._api.http.GET('/answer-evaluations/{id}', { ...path(id), signal })
      ),
      this._tasks(signal)
    ]);
    return {
      evaluation: found.evaluation,
      report: found.report,
      task: tasks.get(id)
    };
  }

  /** What an evaluation asks and what it costs at most. No model is asked. */
  plan(given: INewEvaluation): Promise<IPlan> {
    return this._api.data(
      this._api.http.POST('/answer-evaluations/plan', { body: body(given) })
    );
  }

  /** Begin what the plan `seen` said, once for a `key`. */
  begin(given: INewEvaluation, seen: string, key: string): Promise<IBegun> {
    return this._api.data(
      this._api.http.POST('/answer-evaluations', {
        body: { ...body(given), expect: seen, idempotency_key: key }
      })
    );
  }

  /** The targets that are one host: others request a host for each kernel. */
  async targets(): Promise<ITarget[]> {
    const found = await this._api.data(this._api.http.GET('/targets'));
    return found.filter(({ allocates }) => !allocates);
  }

  /** Ask for the answers that are missing, those of failed calls too. */
  resume(id: string): Promise<IBegun> {
    return this._api.data(
      this._api.http.POST('/answer-evaluations/{id}/resume', path(id))
    );
  }

  /** Score the kept answers by more scorers. `text` is YAML with the list `scorers`. */
  score(id: string, text: string): Promise<IBegun> {
    const body = { text, name: 'scorers' };
    return this._api.data(
      this._api.http.POST('/answer-evaluations/{id}/scores', {
        ...path(id),
        body
      })
    );
  }

  async cancel(task_id: string): Promise<void> {
    const params = { path: { task_id } };
    await this._api.data(
      this._api.http.POST('/tasks/{task_id}/cancel', { params })
    );
  }

  /** Delete an evaluation; returns what is left on the host of its target, and why. */
  async delete(id: string): Promise<string> {
    const { left } = await this._api.data(
      this._api.http.DELETE('/answer-evaluations/{id}', path(id))
    );
    return left ?? '';
  }

  /** The differences to another evaluation of the same rows. */
  compare(
    id: string,
    against: string,
    signal?: AbortSignal
  ): Promise<IComparedResults> {
    return this._api.data(
      this._api.http.GET('/answer-evaluations/{id}/comparison', {
        params: { path: { id }, query: { against } },
        signal
      })
    );
  }

  /** All examples with the scores of each side; the first side may be of another evaluation. */
  examples(
    id: string,
    scorer: string,
    sides: readonly ISide[],
    signal?: AbortSignal
  ): Promise<IExamples> {
    const own = sides.filter(({ evaluation }) => evaluation === id);
    const other = sides.find(({ evaluation }) => evaluation !== id);
    const query = {
      scorer,
      models: own.map(({ model }) => model).join(','),
      ...(other && { against: other.evaluation, against_model: other.model })
    };
    return this._api.data(
      this._api.http.GET('/answer-evaluations/{id}/examples', {
        params: { path: { id }, query },
        signal
      })
    );
  }

  /**
   * One example with all answers, those of the evaluation `against` too.
   *
   * Undefined if the evaluation has no such example.
   */
  async answers(
    id: string,
    example: string,
    against: string,
    signal?: AbortSignal
  ): Promise<IAnsweredRow | undefined> {
    const query = { example, limit: 1, against };
    const found = await this._api.data(
      this._api.http.GET('/answer-evaluations/{id}/rows', {
        params: { path: { id }, query },
        signal
      })
    );
    return found.items[0];
  }

  /** The tasks that work on evaluations, by the evaluation's id. */
  private async _tasks(signal?: AbortSignal): Promise<Map<string, ITask>> {
    const found = await this._api.data(
      this._api.http.GET('/tasks', { signal })
    );
    return new Map(
      found
        .filter(
          ({ subject, finished_at }) =>
            subject?.startsWith(SUBJECT) && !finished_at
        )
        .map(task => [task.subject!.slice(SUBJECT.length), task])
    );
  }
}

const SUBJECT = 'answers:';

function path(id: string): { params: { path: { id: string } } } {
  return { params: { path: { id } } };
}

/** The request for a file below the folder of JupyterLab. */
function body(given: INewEvaluation): Schemas['NewAnswerEvaluation'] {
  return {
    ...given,
    // The path stands for these.
    name: '',
    folder: '',
    data: '',
    data_name: '',
    expect: '',
    idempotency_key: ''
  };
}
