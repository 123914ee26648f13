import { chartGroups, chooseMetrics } from '../metric-choice';
import { mergeSeries, missingAfter, placed, seriesOf } from '../series';

import { makeRun, makeSeries } from './support';

describe('histories', () => {
  it('appends points that follow, and keeps once those that came before', () => {
    const known = makeSeries('loss', [0, 1, 2]);
    expect(mergeSeries(known, makeSeries('loss', [3])).steps).toEqual([
      0, 1, 2, 3
    ]);
    const merged = mergeSeries(known, makeSeries('loss', [1, 2, 3], [7, 8, 9]));
    expect(merged.steps).toEqual([0, 1, 2, 3]);
    expect(merged.values).toEqual([0, 7, 8, 9]);
  });

  it('takes a live point and the same one of MLflow, in milliseconds, as one', () => {
    const [live] = seriesOf([
      { key: 'loss', step: 1, timestamp: 1732500000.1239, value: 2 }
    ]);
    const stored = { ...live, timestamps: [1732500000.123] };
    expect(mergeSeries(live, stored).steps).toEqual([1]);
  });

  it('keeps all points of a metric that was logged without steps', () => {
    const first = { ...makeSeries('loss', [0, 0]), timestamps: [10, 11] };
    const second = { ...makeSeries('loss', [0], [5]), timestamps: [12] };
    const merged = mergeSeries(first, second);
    expect(merged.timestamps).toEqual([10, 11, 12]);
    expect(placed([merged], 'step')).toEqual({
      axis: 'seconds',
      places: [[0, 1, 2]]
    });
    expect(placed([merged, makeSeries('loss', [0, 1])], 'step').axis).toBe(
      'step'
    );
  });

  it('asks again for the last step, at which another metric may come later', () => {
    expect(missingAfter([])).toBe(-1);
    expect(missingAfter([makeSeries('a', [0])])).toBe(-1);
    expect(
      missingAfter([makeSeries('a', [0, 9]), makeSeries('b', [0, 7])])
    ).toBe(6);
  });
});

describe('the choice of metrics', () => {
  it('prefers telling names, held-out data, and one of a group', () => {
    const runs = [
      makeRun(1, {
        metrics: {
          lr: 1,
          train_loss: 1,
          val_loss: 1,
          train_accuracy: 1,
          val_accuracy: 1,
          'system/cpu': 1
        }
      })
    ];
    expect(chooseMetrics(runs)).toEqual(['val_accuracy', 'val_loss']);
    expect(chooseMetrics(runs, 3)).toEqual(['val_accuracy', 'val_loss', 'lr']);
    expect(chooseMetrics([])).toEqual([]);
  });

  it('draws training and validation in one chart', () => {
    expect(chartGroups(['zeta', 'val_loss', 'loss', 'train/acc'])).toEqual([
      ['acc', ['train/acc']],
      ['loss', ['loss', 'val_loss']],
      ['zeta', ['zeta']]
    ]);
  });
});
