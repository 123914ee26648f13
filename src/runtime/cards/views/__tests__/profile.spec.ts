import widget from '../../../widgets/profile';
import { formatMicroseconds } from '../profile';

import { frame, Model } from './model';

const operator = (
  name: string,
  self: number,
  device: number,
  count: number
) => ({
  name,
  count,
  self_us: self,
  total_us: self,
  device_us: device
});

const SUMMARY = {
  events: 3,
  ranks: [0],
  devices: [
    { device: 'GPU 0', rank: 0, span_us: 1000, busy_us: 250, idle_us: 750 }
  ],
  cpu: { span_us: 100, busy_us: 80, idle_us: 20 },
  operators: [
    operator('aten::mm <b>', 10, 900, 7),
    operator('aten::add', 50, 0, 30),
    ...Array.from({ length: 8 }, (_, i) => operator(`op ${i}`, i, 0, i + 1))
  ],
  damaged: ''
};

describe('the profile widget', () => {
  let model: Model;
  let el: HTMLElement;
  let end: () => void;

  beforeEach(async () => {
    model = new Model({
      id: '',
      title: 'ten steps',
      state: 'writing',
      message: '',
      note: '',
      summary: null,
      findings: null
    });
    el = document.body.appendChild(document.createElement('div'));
    end = widget.render({ model, el });
  });

  afterEach(() => {
    end();
    el.remove();
  });

  it('has measured kernels in place of busy and idle time', async () => {
    model.set('state', 'ready');
    model.set('summary', {
      ...SUMMARY,
      measured: {
        total_us: 400,
        kernels: [
          { name: 'gemm <b>', total_us: 300, count: 2, bound: 'memory' },
          { name: 'relu', total_us: 100, count: 1, bound: '' }
        ]
      }
    });
    await frame();
    const busy = el.querySelector('.gol-profile-busy')!;
    expect(busy.previousElementSibling!.textContent).toBe(
      'Measured GPU kernels'
    );
    expect(busy.textContent).not.toMatch(/busy|idle/);
    const bars = [...el.querySelectorAll('.gol-profile-busy [role="img"]')];
    expect(bars.map(bar => bar.getAttribute('aria-label'))).toEqual([
      'gemm <b>: 300.0 µs, 2 launches, bound by memory',
      'relu: 100.0 µs'
    ]);
  });

  const ready = async () => {
    model.set('state', 'ready');
    model.set('summary', SUMMARY);
    await frame();
  };
  const names = () =>
    [...el.querySelectorAll('tbody th')].map(th => th.textContent);
  const button = (name: string) => {
    const found = [...el.querySelectorAll('button')].find(
      one => !one.hidden && one.textContent === name
    );
    expect(found).toBeDefined();
    return found as HTMLButtonElement;
  };
  const sorted = () =>
    [...el.querySelectorAll('th[aria-sort]')].map(th =>
      th.getAttribute('aria-sort')
    );

  it('says that it is analysed, and nothing else before', async () => {
    expect(el.querySelector('[role=status]')?.textContent).toBe(
      'Writing the trace…'
    );
    expect(el.querySelector('table')?.hidden).toBe(true);
    model.set('state', 'analyzing');
    await frame();
    expect(el.querySelector('[role=status]')?.textContent).toBe('Analysing…');
  });

  it('links to its views once it is kept', async () => {
    const link = el.querySelector('a')!;
    await ready();
    expect(link.hidden).toBe(true);
    model.set('id', 'a b');
    await frame();
    expect(link.hidden).toBe(false);
    expect(link.getAttribute('href')).toBe('#genops-profile=a%20b');
  });

  it('shows busy and idle time, also in words', async () => {
    await ready();
    expect(
      [...el.querySelectorAll('[role=img]')].map(bar =>
        bar.getAttribute('aria-label')
      )
    ).toEqual([
      'GPU 0: busy 25 %, idle 750.0 µs',
      'CPU operators: busy 80 %, idle 20.0 µs'
    ]);
  });

  it('sorts by each figure, in both directions, and keeps the focus', async () => {
    await ready();
    expect(names()[0]).toBe('aten::add');
    expect(sorted()).toEqual(['descending', 'none', 'none']);
    const device = button('Device time');
    device.focus();
    device.click();
    expect(names()[0]).toBe('aten::mm <b>');
    expect(sorted()).toEqual(['none', 'descending', 'none']);
    expect(document.activeElement).toBe(device);
    button('Calls').click();
    button('Calls').click();
    expect(names()[0]).toBe('op 0');
    expect(sorted()).toEqual(['none', 'none', 'ascending']);
  });

  it('shows all operators when asked', async () => {
    await ready();
    expect(names()).toHaveLength(8);
    const more = button('Show all 10 operators');
    more.click();
    expect(names()).toHaveLength(10);
    expect(more.getAttribute('aria-expanded')).toBe('true');
    button('Show fewer').click();
    expect(names()).toHaveLength(8);
  });

  it('shows what to change and the costliest lines before operators', async () => {
    model.set('note', 'recorded steps 3 to 12');
    model.set('findings', {
      advice: [
        {
          title: 'The program waits <b>',
          saving: 'up to 2 ms',
          evidence: '10 waits.',
          suggestion: 'Use workers.',
          where: '[3] line 2'
        }
      ],
      more_advice: 2,
      lines: [{ where: '[3] line 2', text: 'y = x', time: '5 ms', share: 0.5 }],
      lines_of: 'device'
    });
    await ready();
    expect(el.querySelector('li')?.textContent).toBe(
      'The program waits <b> up to 2 ms10 waits. ([3] line 2) Use workers.'
    );
    expect(el.textContent).toContain('2 more: Open shows all');
    const table = el.querySelector('.gol-profile-lines') as HTMLTableElement;
    expect(table.caption?.textContent).toBe('Device time by line');
    expect(table.rows[0].textContent).toBe('[3] line 2y = x5 ms (50 %)');
    expect(names()).toHaveLength(1 + 3);
    expect(el.querySelector('.gol-profile-note')?.textContent).toBe(
      'recorded steps 3 to 12'
    );
  });

  it('says that nothing of PyTorch ran', async () => {
    model.set('state', 'ready');
    model.set('summary', { ...SUMMARY, operators: [], devices: [] });
    await frame();
    expect(el.querySelector('.gol-view-message')?.textContent).toBe(
      'No PyTorch operator ran during the recording.'
    );
  });

  it('says why there is no summary', async () => {
    model.set('state', 'failed');
    model.set('message', 'No GenOps Lab is running.');
    await frame();
    expect(el.querySelector('.gol-view-message')?.textContent).toBe(
      'No GenOps Lab is running.'
    );
  });

  it('leaves nothing behind', () => {
    expect(model.size).toBeGreaterThan(0);
    end();
    expect(model.size).toBe(0);
    expect(el.querySelector('.gol-view')).toBeNull();
  });
});

it.each([
  [12.34, '12.3 µs'],
  [1500, '1.50 ms'],
  [2e6, '2.00 s']
])('%s microseconds', (us, text) => {
  expect(formatMicroseconds(us)).toBe(text);
});
