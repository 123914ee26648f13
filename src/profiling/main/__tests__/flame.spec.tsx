import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  waitFor
} from '@testing-library/react';
import * as React from 'react';

import { Resource } from '../../../core';
import { settle } from '../../../tasks/__tests__/support';
import type { IFlame, IFlameNode } from '../../service';
import { WHOLE, callTree, nameOf } from '../flame/calls';
import { Flame } from '../flame/flame';
import { FlameGraph } from '../flame/graph';
import type { IShownFlame } from '../model';

import { trans } from './support';

const WORDS = { all: 'All', other: 'too short to draw' };

function node(
  name: string,
  parent: number,
  device_us: number,
  host_us: number
): IFlameNode {
  return { name, kind: 'operator', parent, count: 1, host_us, device_us };
}

const flame: IFlame = {
  host_us: 2,
  device_us: 100,
  nodes: [
    node('thread', -1, 100, 2),
    node('step', 0, 80, 1),
    node('aten::add', 1, 20, 1),
    node('aten::mm', 1, 60, 0),
    node('aten::bmm', 0, 20, 1),
    node('', 3, 15, 0)
  ]
};

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

/** What is drawn, by name: from where to where, in hundredths of the picture's width. */
function drawn(host: HTMLElement): Record<string, [number, number]> {
  return Object.fromEntries(
    [...host.querySelectorAll('.frame')].map(frame => {
      const left = Number(
        /\(([\d.]+)/.exec(frame.getAttribute('transform') ?? '')?.[1]
      );
      const width = Number(frame.querySelector('rect')!.getAttribute('width'));
      return [
        frame.getAttribute('name'),
        [Math.round(left / 10), Math.round((left + width) / 10)]
      ];
    })
  );
}

beforeAll(() => {
  globalThis.ResizeObserver ??= NoObserver as typeof ResizeObserver;
  // What moves is at its end at once.
  window.matchMedia = (query: string) =>
    ({
      matches: query.includes('reduced-motion'),
      addEventListener: () => undefined,
      removeEventListener: () => undefined
    }) as unknown as MediaQueryList;
});

afterEach(cleanup);

describe('a flame graph', () => {
  let host: HTMLElement;
  let graph: FlameGraph;
  const zoomed = jest.fn();

  beforeEach(() => {
    zoomed.mockClear();
    host = document.createElement('div');
    document.body.append(host);
    graph = new FlameGraph({
      host,
      calls: callTree(flame),
      measure: 'device_us',
      nameOf: place => nameOf(flame, place, WORDS),
      sentence: place => `sentence ${place}`,
      onZoom: zoomed
    });
    graph.width = 1000;
  });

  afterEach(() => {
    graph.dispose();
    host.remove();
  });

  it('is as wide as its time, below what called it, the longest first', () => {
    expect(drawn(host)).toEqual({
      All: [0, 100],
      thread: [0, 100],
      step: [0, 80],
      bmm: [80, 100],
      mm: [0, 60],
      add: [60, 80],
      'too short to draw': [0, 15]
    });
    expect(host.querySelector('svg')!.getAttribute('height')).toBe('100');
  });

  it('is drawn anew by another measure and in another width, at once', () => {
    graph.measure = 'host_us';
    // Of what has no time there is nothing.
    expect(drawn(host)).toEqual({
      All: [0, 100],
      thread: [0, 100],
      step: [0, 50],
      add: [0, 50],
      bmm: [50, 100]
    });
    graph.width = 500;
    expect(drawn(host)).toMatchObject({ All: [0, 50], bmm: [25, 50] });
    graph.width = 0;
    expect(drawn(host)).toMatchObject({ All: [0, 50], bmm: [25, 50] });
  });

  it('widens a frame with what is around it, also beside the last one', () => {
    graph.focus = 2;
    const path = { All: [0, 100], thread: [0, 100] };
    expect(drawn(host)).toEqual({ ...path, step: [0, 100], add: [0, 100] });
    graph.focus = 3;
    expect(drawn(host)).toEqual({
      ...path,
      step: [0, 100],
      mm: [0, 100],
      'too short to draw': [0, 25]
    });
    graph.focus = 4;
    expect(drawn(host)).toEqual({ ...path, bmm: [0, 100] });
    graph.focus = 2;
    expect(drawn(host)).toEqual({ ...path, step: [0, 100], add: [0, 100] });
    graph.focus = 1;
    expect(drawn(host)).toMatchObject({ step: [0, 100], add: [75, 100] });
    graph.focus = WHOLE;
    expect(drawn(host)).toMatchObject({ step: [0, 80], add: [60, 80] });
  });

  it('is zoomed by a click', () => {
    const frame = host.querySelector('.frame[name=step]')!;
    fireEvent.click(frame);
    expect(zoomed.mock.calls).toEqual([[1]]);
    expect(drawn(host)).toMatchObject({ step: [0, 100], add: [75, 100] });
    fireEvent.mouseOver(frame);
    expect(host.title).toBe('sentence 1');
    fireEvent.mouseOut(frame);
    expect(host.title).toBe('');
  });

  it('counts what is found once, wherever it is zoomed', async () => {
    const faint = () =>
      [...host.querySelectorAll('.gol-mod-faint')].map(each =>
        each.getAttribute('name')
      );
    expect(graph.search(' MM')).toEqual({ frames: 2, us: 80 });
    expect(faint().sort()).toEqual(
      ['All', 'add', 'step', 'thread', 'too short to draw'].sort()
    );
    graph.focus = 2;
    expect(graph.search('t')).toEqual({ frames: 5, us: 100 });
    graph.measure = 'host_us';
    expect(graph.search('t')).toEqual({ frames: 5, us: 2 });
    // All is no name in the trace, and all that is too small has none.
    expect(graph.search('all')).toEqual({ frames: 0, us: 0 });
    expect(graph.search('')).toBeNull();
    expect(faint()).toEqual([]);
  });

  it('is walked by keys, in the order that is seen', () => {
    expect(graph.neighbour(WHOLE, 'ArrowDown')).toBe(0);
    expect(graph.neighbour(0, 'ArrowUp')).toBe(WHOLE);
    expect(graph.neighbour(WHOLE, 'ArrowUp')).toBeNull();
    expect(graph.neighbour(1, 'ArrowDown')).toBe(3);
    expect(graph.neighbour(3, 'ArrowRight')).toBe(2);
    expect(graph.neighbour(2, 'ArrowLeft')).toBe(3);
    expect(graph.neighbour(2, 'ArrowRight')).toBeNull();
    expect(graph.neighbour(2, 'x')).toBeNull();
    graph.measure = 'host_us';
    // What has no time is not seen.
    expect(graph.neighbour(2, 'ArrowRight')).toBeNull();
  });

  it('marks what is selected, also after it was drawn anew', () => {
    const selected = () =>
      [...host.querySelectorAll('.gol-mod-selected')].map(each =>
        each.getAttribute('name')
      );
    expect(selected()).toEqual(['All']);
    graph.selected = 1;
    expect(selected()).toEqual(['step']);
    graph.selected = 3;
    expect(selected()).toEqual(['mm']);
    graph.width = 500;
    expect(selected()).toEqual(['mm']);
    graph.selected = WHOLE;
    expect(selected()).toEqual(['All']);
  });

  it('leaves the page as it was, and the tree too', () => {
    const before = JSON.stringify(flame);
    graph.focus = 3;
    graph.dispose();
    expect(host.innerHTML).toBe('');
    expect(JSON.stringify(flame)).toBe(before);
  });
});

describe('the view of a flame graph', () => {
  async function show(): Promise<HTMLElement> {
    const resource = new Resource<IShownFlame>({
      fetch: async () => ({ flame, Graph: FlameGraph }),
      trans
    });
    const { container } = render(
      <Flame
        model={{ flame: () => resource, rank: null }}
        ranks={[0]}
        seen={true}
        trans={trans}
      />
    );
    await act(() => settle());
    return container.querySelector<HTMLElement>('.gol-Flame-selected')!;
  }

  it('says what is selected, and goes from what has no time on the host', async () => {
    const said = await show();
    const graph = screen.getByRole('application');
    const press = (...keys: string[]) =>
      keys.forEach(key => fireEvent.keyDown(graph, { key }));
    expect(said.textContent).toBe('All: 100 µs, 100 % of the total');
    press('ArrowDown', 'ArrowDown', 'ArrowDown', 'Enter');
    expect(said.textContent).toBe(
      'mm: 60 µs, 60 % of the total, 1 call. Operator. Zoomed in'
    );
    const all = screen.getByRole<HTMLButtonElement>('button', {
      name: 'Reset zoom'
    });
    expect(all.disabled).toBe(false);
    fireEvent.click(screen.getByRole('button', { name: 'Host time' }));
    expect(said.textContent).toBe('All: 2 µs, 100 % of the total');
    expect(all.disabled).toBe(true);
  });

  it('says how much was found', async () => {
    await show();
    fireEvent.change(screen.getByRole('searchbox', { name: 'Find' }), {
      target: { value: 'mm' }
    });
    const status = screen.getByRole('status');
    await waitFor(() =>
      expect(status.textContent).toBe('80 µs in 2 frames (80 %)')
    );
  });

  it('keeps what is selected when all is shown', async () => {
    const said = await show();
    const graph = screen.getByRole('application');
    ['ArrowDown', 'ArrowDown', 'Enter', 'ArrowDown'].forEach(key =>
      fireEvent.keyDown(graph, { key })
    );
    const before = said.textContent;
    expect(before).toContain('mm');
    fireEvent.click(screen.getByRole('button', { name: 'Reset zoom' }));
    expect(said.textContent).toBe(before);
  });
});
