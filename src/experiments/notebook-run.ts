import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { GenOpsEvents } from '../core/events';
import { Resource } from '../core/resource';
import { Throttle } from '../core/throttle';

import type { ExperimentsService, IRun } from './service';

/** A run that logs changes many times a second. */
const REFRESH_MS = 2000;

/** The latest run of one notebook. */
export class NotebookRun implements IDisposable {
  constructor(path: string, options: NotebookRun.IOptions) {
    const { service, events, trans } = options;
    const filter = sourceFilter(path);
    this.latest = new Resource<IRun | null>({
      trans,
      events,
      kinds: ['run'],
      accepts: () => {
        if (this.latest.visible) {
          this._refreshing.ask();
        }
        return !this.latest.visible;
      },
      fetch: async signal => {
        if (!filter) {
          return null;
        }
        const query = { experiment: '', filter };
        const page = await service.runs(query, '', signal);
        return page.items.find(({ source }) => isSource(source, path)) ?? null;
      },
      isEmpty: run => run === null
    });
  }

  readonly latest: Resource<IRun | null>;

  get isDisposed(): boolean {
    return this.latest.isDisposed;
  }

  dispose(): void {
    this._refreshing.dispose();
    this.latest.dispose();
  }

  private _refreshing = new Throttle(
    () => void this.latest.refresh(),
    REFRESH_MS
  );
}

export namespace NotebookRun {
  export interface IOptions {
    service: Pick<ExperimentsService, 'runs'>;
    events: GenOpsEvents;
    trans: TranslationBundle;
  }
}

/**
 * The filter that finds the runs of a notebook, by MLflow's language; empty where it has
 * none, as MLflow knows no escapes.
 */
function sourceFilter(path: string): string {
  const quote = path.includes("'") ? '"' : "'";
  return path.includes(quote)
    ? ''
    : `tags.\`mlflow.source.name\` LIKE ${quote}%${path}${quote}`;
}

/** Whether a run's source is this notebook: kernels know the whole path, the page the part below the server's folder. */
function isSource(source: string, path: string): boolean {
  return source === path || source.endsWith(`/${path}`);
}
