import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { settle } from '../../../tasks/__tests__/support';
import { makeMoment, makeSite } from '../../main/memory/__tests__/support';
import { trans } from '../../main/__tests__/support';
import type { IDeviceMemory, IMemoryAt } from '../memory-strip';
import type { TimelineModel } from '../model';
import { MemoryStrip } from '../view/memory-strip';

const device = {
  device: 1,
  peak: 100,
  timeline: []
} as unknown as IDeviceMemory;

function makeModel(start_us?: number): TimelineModel {
  return {
    visible: false,
    drawn: new Signal<object, void>({}),
    view: { start: 1_000_000, nsPerPx: 1000, width: 500 },
    details: start_us === undefined ? null : { slice: { start_us } }
  } as unknown as TimelineModel;
}

describe('memory by owner, below the lanes', () => {
  let asked: [number, number | null][];
  let memoryAt: IMemoryAt;

  beforeEach(() => {
    asked = [];
    memoryAt = (number, us) => {
      asked.push([number, us]);
      return Promise.resolve(
        makeMoment(
          3,
          Array.from({ length: 9 }, (_, line) => ({
            line,
            site: makeSite({ name: `op${line}`, bytes: 10 })
          })),
          { us: 1200, more_lines: 4 }
        )
      );
    };
  });

  afterEach(cleanup);

  const show = (model: TimelineModel, ask: IMemoryAt | undefined = memoryAt) =>
    render(
      <MemoryStrip {...{ device, model, trans }} number={2} memoryAt={ask} />
    );

  it('is told for the moment of a click, and can be closed', async () => {
    show(makeModel());
    const click = new MouseEvent('click', { bubbles: true });
    Object.defineProperty(click, 'offsetX', { value: 200 });
    fireEvent(screen.getByRole('img'), click);
    await act(() => settle());
    expect(asked).toEqual([[2, 1200]]);
    const told = screen.getByRole('region', {
      name: 'Memory by owner: Memory, device 1'
    });
    expect(within(told).getByRole('status').textContent).toBe('1.2 ms: 90 B');
    const items = within(told).getAllByRole('listitem');
    expect(items.map(item => item.textContent)).toEqual([
      ...[0, 1, 2, 3, 4, 5].map(line => `op${line} 10 B 11 %`),
      '7 more lines'
    ]);
    fireEvent.click(within(told).getByRole('button', { name: 'Close' }));
    expect(screen.queryByRole('region')).toBeNull();
  });

  it('is told by keyboard for the selected slice, else for the peak', async () => {
    const { unmount } = show(makeModel(77));
    fireEvent.click(screen.getByRole('button', { name: 'Memory, device 1' }));
    await act(() => settle());
    unmount();
    show(makeModel());
    fireEvent.click(screen.getByRole('button', { name: 'Memory, device 1' }));
    await act(() => settle());
    expect(asked).toEqual([
      [2, 77],
      [2, null]
    ]);
  });

  it('of a rank among others is asked for in its own time, and told in that of all', async () => {
    const ofRank = { rank: 3, offset: 500_000, number: 2 };
    render(
      <MemoryStrip
        {...{ device, trans, memoryAt, ...ofRank }}
        model={makeModel(700)}
      />
    );
    const click = new MouseEvent('click', { bubbles: true });
    Object.defineProperty(click, 'offsetX', { value: 200 });
    fireEvent(screen.getByRole('img'), click);
    await act(() => settle());
    const told = screen.getByRole('region', {
      name: 'Memory by owner: Memory, device 1, rank 3'
    });
    expect(within(told).getByRole('status').textContent).toBe('1.7 ms: 90 B');
    fireEvent.click(
      screen.getByRole('button', { name: 'Memory, device 1, rank 3' })
    );
    await act(() => settle());
    expect(asked).toEqual([
      [2, 700],
      [2, 200]
    ]);
  });

  it('says why it is not known', async () => {
    show(makeModel(), () => Promise.reject(new Error('no columns')));
    fireEvent.click(screen.getByRole('button', { name: 'Memory, device 1' }));
    await act(() => settle());
    expect(screen.getByRole('status').textContent).toContain('no columns');
  });
});
