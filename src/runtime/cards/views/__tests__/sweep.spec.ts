import widget from '../../../widgets/sweep';
import { progressOf, shownValue } from '../sweep';

type Given = Parameters<typeof widget.render>[0];

function trial(number: number, part: Record<string, unknown> = {}) {
  return {
    number,
    state: 'finished',
    params: { lr: 0.1 * (number + 1), act: '<b>relu</b>' },
    value: 1 / (number + 1),
    message: '',
    run_id: 'r',
    kernel_name: 'python3',
    ...part
  };
}

describe('the view of a sweep', () => {
  let el: HTMLElement;
  let state: Record<string, unknown>;
  const listeners = new Map<string, () => void>();
  const send = jest.fn();

  function show(part: Record<string, unknown> = {}): () => void {
    state = {
      id: '3fa91c20',
      name: 'lesson',
      state: 'running',
      metric: 'loss',
      planned: 4,
      best: 1,
      message: '',
      hint: '',
      trials: [
        trial(0),
        trial(1),
        trial(2, { state: 'failed', value: null, message: 'ValueError: no' })
      ],
      counts: { finished: 2, failed: 1 },
      summary: [],
      series: {},
      ...part
    };
    const model = {
      get: (name: string) => state[name],
      on: (event: string, listener: () => void) =>
        listeners.set(event, listener),
      off: (event: string) => listeners.delete(event),
      send
    };
    return widget.render({ model, el } as unknown as Given);
  }

  beforeEach(() => {
    el = document.createElement('div');
    document.body.append(el);
    listeners.clear();
    send.mockClear();
  });
  afterEach(() => el.remove());

  it('shows trials, the best one marked, and no HTML of theirs', () => {
    const end = show();
    const rows = [...el.querySelectorAll('.gol-sweep-scroll tbody tr')].map(
      row => [...row.children].map(cell => cell.textContent)
    );
    expect(rows).toEqual([
      ['0', 'finished', '0.1', '<b>relu</b>', '1', ''],
      ['1', 'finished', '0.2', '<b>relu</b>', '0.5', 'best'],
      ['2', 'failed', '0.3', '<b>relu</b>', '', 'ValueError: no']
    ]);
    expect(el.textContent).toContain('3 of 4 trials (1 failed)');
    end();
    expect(el.querySelector('.gol-sweep')).toBeNull();
    expect(listeners.size).toBe(0);
  });

  it('asks for a stop once, while it goes on', async () => {
    show();
    const button = el.querySelector('button')!;
    button.click();
    button.click();
    expect(send.mock.calls).toEqual([[{ do: 'stop' }]]);
    state.state = 'stopped';
    listeners.get('change:state')!();
    await new Promise(resolve => requestAnimationFrame(resolve));
    expect(button.hidden).toBe(true);
  });

  it('shows means with their intervals', () => {
    const one = { metric: 'a', n: 3, mean: 0.5, low: 0.25, high: 0.75 };
    const two = { metric: 'b', n: 3, mean: 1, low: null, high: null };
    show({ summary: [one, two] });
    const text = el.querySelector('table')!.textContent;
    expect(text).toContain('0.25 to 0.75');
    expect(text).toContain('no interval');
  });

  it('says values and progress in few words', () => {
    expect(shownValue(null)).toBe('');
    expect(shownValue('x'.repeat(60))).toHaveLength(40);
    expect(progressOf({ finished: 1, running: 3 }, 9)).toBe('1 of 9 trials');
  });
});
