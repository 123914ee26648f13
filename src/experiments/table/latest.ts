import type { ILatestMetrics } from '../service';

type ILatestMetric = ILatestMetrics['metrics'][number];

const MOST_RUNS = 50;

/** Steps and times of runs' latest metrics, which the table does not hold: fetched when somebody points at one. */
export class LatestMetrics {
  constructor(private _fetch: (runId: string) => Promise<ILatestMetrics>) {}

  /**
   * A metric of a run. `version` is that of what the table shows: what was fetched
   * for another one is fetched again.
   *
   * @throws ApiError
   */
  async get(
    runId: string,
    metric: string,
    version: number
  ): Promise<ILatestMetric | undefined> {
    if (version !== this._version) {
      this._version = version;
      this._runs.clear();
    }
    let asked = this._runs.get(runId);
    if (!asked) {
      asked = this._fetch(runId);
      this._runs.set(runId, asked);
      asked.catch(() => this._runs.delete(runId));
      if (this._runs.size > MOST_RUNS) {
        this._runs.delete([...this._runs.keys()][0]);
      }
    }
    return (await asked).metrics.find(({ key }) => key === metric);
  }

  private _version = -1;
  private _runs = new Map<string, Promise<ILatestMetrics>>();
}
