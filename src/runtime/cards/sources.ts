import type { IDisposable } from '@lumino/disposable';

import type { IGenOpsCore, Kind } from '../../core';
import { Resource, everyPage } from '../../core';
import { Throttle } from '../../core/throttle';
import { RunCurves } from '../../experiments/curves';
import type { IRun } from '../../experiments/service';
import { ExperimentsService } from '../../experiments/service';

import type { CardView } from './card';
import type { CardModel } from './model';
import { deploymentState, runState, sweepState } from './states';

const AGAIN_MS = 1000;
const TICK_MS = 1000;
/** Clocks of hosts usually differ by less. */
const CLOCK_S = 5;

/** Draws a card from the Lab's data when no kernel's messages come. */
export interface ISource extends IDisposable {
  /** Whether the card is in view. */
  visible: boolean;
}

export function sourceOf(
  view: CardView,
  model: CardModel,
  core: IGenOpsCore
): ISource {
  const { http } = core.api;
  const get = <T>(name: string): T => model.get(name);
  switch (view) {
    case 'run':
      return new RunSource(model, core);
    case 'sweep':
      return new Source(model, core, ['sweep'], async signal => {
        const params = { path: { sweep_id: get<string>('id') } };
        const path = '/sweeps/{sweep_id}';
        const call = http.GET(path, { params, signal });
        return sweepState(await core.api.data(call));
      });
    case 'deployment':
      return new Source(model, core, ['deployment'], async signal => {
        const params = { path: { name: get<string>('name') } };
        const call = http.GET('/deployments/{name}', { params, signal });
        return deploymentState(await core.api.data(call));
      });
    case 'profile':
      return new Source(model, core, ['profile'], signal =>
        findProfile(model, core, signal)
      );
  }
}

/**
 * Find a profile by its id, or the first profile of the card's title since the
 * card began.
 */
async function findProfile(
  model: CardModel,
  { api, trans }: IGenOpsCore,
  signal: AbortSignal
): Promise<Record<string, unknown>> {
  let id: string | undefined = model.get('id');
  if (!id) {
    const since: number = model.get('started_at') ?? Infinity;
    const all = await everyPage(
      query =>
        api.data(api.http.GET('/profiles', { params: { query }, signal })),
      one => one.id
    );
    id = all
      .filter(one => one.title === (model.get('title') as string))
      .filter(one => one.created_at >= since - CLOCK_S)
      .sort((a, b) => a.created_at - b.created_at)[0]?.id;
  }
  if (!id) {
    const message = trans.__('The Lab has no profile of this cell.');
    return { state: 'unknown', message };
  }
  const params = { path: { profile_id: id } };
  const path = '/profiles/{profile_id}';
  const { state, title, message, summary } = await api.data(
    api.http.GET(path, { params, signal })
  );
  return { id, state, title, message, summary };
}

/** Uses the Lab's answer as the card's state, and asks again after a change. */
class Source implements ISource {
  constructor(
    protected model: CardModel,
    protected core: IGenOpsCore,
    kinds: Kind[],
    fetch: (signal: AbortSignal) => Promise<Record<string, unknown>>
  ) {
    const { events, trans } = core;
    const again = new Throttle(() => void this.resource.refresh(), AGAIN_MS);
    this._again = again;
    this.resource = new Resource<Record<string, unknown>>({
      trans,
      events,
      kinds,
      fetch,
      accepts: change => {
        const isOwn = change.id === '' || change.id === this.id;
        if (isOwn || !this.id) {
          if (!this.resource.visible) {
            return true;
          }
          again.ask();
        }
        return false;
      }
    });
    this.resource.changed.connect((_, { state, value, error }) => {
      if (state === 'down' && error) {
        this.model.set({ message: `${error.message} ${error.hint}`.trim() });
      } else if (value) {
        this.take(value);
      }
    });
  }

  readonly resource: Resource<Record<string, unknown>>;

  get visible(): boolean {
    return this.resource.visible;
  }
  set visible(value: boolean) {
    this.resource.visible = value && !this.isDisposed;
  }

  get isDisposed(): boolean {
    return this.resource.isDisposed;
  }

  dispose(): void {
    this._again.dispose();
    this.resource.dispose();
  }

  /** The id whose changes concern this card. */
  protected get id(): string {
    return this.model.get('id') ?? this.model.get('name') ?? '';
  }

  protected take(value: Record<string, unknown>): void {
    this.model.set(value);
  }

  private _again: Throttle;
}

/**
 * A run: its state in MLflow, its curves as they grow, and its elapsed time.
 */
class RunSource extends Source {
  constructor(model: CardModel, core: IGenOpsCore) {
    const service = new ExperimentsService(core.api);
    super(model, core, ['run', 'divergence'], async signal => {
      const run = await findRun(model, service, signal);
      const message = core.trans.__('MLflow has no such run yet.');
      return run ? runState(run) : { status: 'UNKNOWN', message };
    });
    this._service = service;
  }

  override get visible(): boolean {
    return super.visible;
  }
  override set visible(value: boolean) {
    super.visible = value;
    if (this._curves) {
      this._curves.visible = value;
    }
    window.clearInterval(this._timer);
    if (value) {
      this._timer = window.setInterval(() => this._tick(), TICK_MS);
    }
  }

  override dispose(): void {
    window.clearInterval(this._timer);
    this._curves?.dispose();
    super.dispose();
  }

  protected override get id(): string {
    return this.model.get('run_id') ?? '';
  }

  protected override take(value: Record<string, unknown>): void {
    super.take(value);
    if (value.run_id) {
      this._curves ??= this._follow();
      this._curves.ended = value.status !== 'RUNNING';
      this._tick();
    }
  }

  private _follow(): RunCurves {
    const { events, live, trans } = this.core;
    const curves = new RunCurves({
      runId: this.id,
      ended: true,
      events,
      live,
      trans,
      fetch: (after, signal) => this._service.metrics(this.id, after, signal)
    });
    curves.changed.connect((_, { series, system }) => {
      const all = [...series, ...system];
      this.model.set({
        series: Object.fromEntries(all.map(one => [one.key, one]))
      });
    });
    curves.visible = this.visible;
    return curves;
  }

  private _tick(): void {
    const started: number | null = this.model.get('started_at');
    const ended: number | null = this.model.get('ended_at');
    if (started !== null && started !== undefined && !document.hidden) {
      this.model.set({ elapsed_s: (ended ?? Date.now() / 1000) - started });
    }
  }

  private _service: ExperimentsService;
  private _curves: RunCurves | null = null;
  private _timer = 0;
}

/**
 * Find the run by its id, or by the key that it had before MLflow gave it an
 * id.
 */
async function findRun(
  model: CardModel,
  service: ExperimentsService,
  signal: AbortSignal
): Promise<IRun | undefined> {
  const id: string = model.get('run_id') ?? '';
  const key: string = model.get('key') ?? '';
  if (id) {
    return (await service.run(id, signal)).run;
  }
  if (!/^[\w-]{1,64}$/.test(key)) {
    return undefined;
  }
  const filter = `tags.\`genops.run_key\` = '${key}'`;
  const page = await service.runs({ experiment: '', filter }, '', signal);
  return page.items[0];
}
