import widget from '../../../widgets/run';
import { groupMetrics } from '../run';

import { frame, Model } from './model';

describe('the run widget', () => {
  let model: Model;
  let el: HTMLElement;
  let end: () => void;

  beforeEach(() => {
    model = new Model({
      title: 'digits <b>',
      status: 'RUNNING',
      run_id: 'abc',
      elapsed_s: 83.2,
      message: '',
      params: { lr: 0.001, layers: [64, 10] },
      series: {
        loss: { steps: [0, 1], values: [2, 0.5] },
        val_loss: { steps: [1], values: [0.75] },
        'system/cpu': { steps: [0], values: [40] }
      }
    });
    el = document.body.appendChild(document.createElement('div'));
    end = widget.render({ model, el });
  });

  afterEach(() => {
    end();
    el.remove();
  });

  it('shows state, parameters and values, and takes no HTML from names', () => {
    expect(el.querySelector('.gol-view-title')?.textContent).toBe('digits <b>');
    expect(el.querySelector('[role=status]')?.textContent).toBe('Running');
    expect(el.querySelector('.gol-run-params')?.textContent).toBe(
      'lr0.001layers[64,10]'
    );
    const charts = el.querySelectorAll('[role=img]');
    expect(charts).toHaveLength(2);
    expect(charts[0].getAttribute('aria-label')).toBe(
      'Chart of loss: loss 0.5 at step 1, val_loss 0.75 at step 1'
    );
    const rows = [...el.querySelectorAll('tbody tr')].map(row =>
      [...row.children].map(cell => cell.textContent)
    );
    expect(rows).toContainEqual(['val_loss', '1', '0.75']);
  });

  it('follows the kernel', async () => {
    model.set('series', {
      loss: { steps: [2, 0, 1], values: [0.25, 2, null] },
      'val/acc': { steps: [], values: [] }
    });
    model.set('status', 'FAILED');
    model.set('message', 'ValueError: no');
    await frame();
    expect(el.querySelector('[role=status]')?.textContent).toBe('Failed');
    expect(el.querySelector('.gol-view-message')?.textContent).toBe(
      'ValueError: no'
    );
    const labels = [...el.querySelectorAll('[role=img]')].map(node =>
      node.getAttribute('aria-label')
    );
    expect(labels).toEqual([
      'Chart of loss: loss 0.25 at step 2',
      'Chart of acc: val/acc: no value'
    ]);
  });

  it('draws its charts and its table anew only with new values', async () => {
    const row = el.querySelector('tbody tr');
    model.set('elapsed_s', 90);
    model.set('diverged', {});
    model.set('params', { lr: 0.001, layers: [64, 10] });
    await frame();
    expect(el.querySelector('.gol-view-head')?.textContent).toContain(
      '1 min 30 s'
    );
    expect(el.querySelector('tbody tr')).toBe(row);
    model.set('diverged', { loss: 'NaN since step 1' });
    await frame();
    expect(el.querySelector('tbody tr')).not.toBe(row);
  });

  it('has the best value beside the last where the name tells which is the best', async () => {
    const steps = [0, 1, 2];
    model.set('series', {
      loss: { steps, values: [0.25, null, 0.5] },
      val_loss: { steps, values: [3, 2, 1] },
      'acc/val': { steps, values: [0.5, 0.9, 0.7] },
      f1_score: { steps, values: [0.5, 0.8, null] },
      lr: { steps, values: [1, 3, 2] },
      loss_scale: { steps, values: [1, 3, 2] }
    });
    await frame();
    expect(
      [...el.querySelectorAll('.gol-run-best')].map(node => node.textContent)
    ).toEqual(['min 0.25', '', 'max 0.9', '', '', '']);
    const labels = [...el.querySelectorAll('[role=img]')].map(node =>
      node.getAttribute('aria-label')
    );
    expect(labels[1]).toBe('Chart of acc: acc/val 0.7 at step 2, max 0.9');
  });

  it('reads NaN in red where a metric is no number now, not its last finite value', async () => {
    const values = () =>
      [...el.querySelectorAll('.gol-run-value')].map(node => [
        node.textContent,
        node.classList.contains('gol-run-bad')
      ]);
    model.set('diverged', {
      loss: 'NaN since step 2',
      val_loss: 'Infinity since step 1'
    });
    model.set('series', {
      loss: { steps: [0, 1, 2, 3], values: [2, 0.5, null, null] },
      val_loss: { steps: [0, 1, 2], values: [1, null, 0.75] },
      best: { steps: [0], values: [null] }
    });
    await frame();
    // One that came back, and a start value, are not alarmed about.
    expect(values()).toEqual([
      ['NaN', true],
      ['0.75', false],
      ['', false]
    ]);
    expect(el.querySelector('[role=img]')?.getAttribute('aria-label')).toBe(
      'Chart of loss: loss NaN since step 2, val_loss 0.75 at step 2'
    );
    const rows = [...el.querySelectorAll('tbody tr')].map(row =>
      [...row.children].map(cell => cell.textContent)
    );
    expect(rows).toContainEqual(['loss', '2', 'NaN']);
  });

  it('leaves nothing behind', () => {
    expect(model.size).toBeGreaterThan(0);
    end();
    expect(model.size).toBe(0);
    expect(el.querySelector('.gol-run')).toBeNull();
  });
});

describe('names', () => {
  it('puts the parts of one metric in one chart', () => {
    const { charts, system } = groupMetrics([
      'train/loss',
      'val_loss',
      'accuracy',
      'accuracy_test',
      'test',
      'system/gpu_0'
    ]);
    expect([...charts]).toEqual([
      ['loss', ['train/loss', 'val_loss']],
      ['accuracy', ['accuracy', 'accuracy_test']],
      ['test', ['test']]
    ]);
    expect([...system.keys()]).toEqual(['system/gpu_0']);
  });
});
