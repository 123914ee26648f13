import { LatestMetrics } from '../model';

const METRIC = { key: 'loss', value: 0.5, step: 900, at: 1000 };

describe('the latest metrics of a run', () => {
  it('are fetched once until something changed, and again after a failure', async () => {
    const asked: string[] = [];
    let fails = false;
    const latest = new LatestMetrics(async runId => {
      asked.push(runId);
      if (fails) {
        throw new Error('away');
      }
      return { metrics: [METRIC], stalled_s: null };
    });
    expect(await latest.get('a', 'loss', 1)).toEqual(METRIC);
    expect(await latest.get('a', 'other', 1)).toBeUndefined();
    expect(asked).toEqual(['a']);
    fails = true;
    await expect(latest.get('a', 'loss', 2)).rejects.toThrow('away');
    fails = false;
    expect(await latest.get('a', 'loss', 2)).toEqual(METRIC);
    expect(asked).toEqual(['a', 'a', 'a']);
  });
});
