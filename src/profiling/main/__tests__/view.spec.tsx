import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle } from '../../../tasks/__tests__/support';
import type { IProfile } from '../../service';
import { ProfilesService } from '../../service';
import { TraceFetch } from '../../trace/model';
import { ProfileViewModel } from '../model';
import { ProfileView } from '../profile-view';

import {
  FakePlaces,
  makeAttribution,
  makeDevice,
  makeLine,
  makeProfile,
  makeSummary,
  trans
} from './support';

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

describe('a profile in the main area', () => {
  let bench: Bench;
  let model: ProfileViewModel;
  let places: FakePlaces;
  const actions = {
    openRun: jest.fn(),
    openPerfetto: jest.fn(),
    compareWith: jest.fn(),
    traceFetch: ({ id }: IProfile) => new TraceFetch(bench.core, id),
    toggleGutter: jest.fn(),
    insertTable: jest.fn(),
    canInsertTable: () => true
  };

  beforeAll(() => {
    globalThis.ResizeObserver ??= NoObserver as typeof ResizeObserver;
  });

  beforeEach(() => {
    jest.clearAllMocks();
    bench = new Bench({});
    places = new FakePlaces();
    model = new ProfileViewModel({
      id: 'p1',
      service: new ProfilesService(bench.core.api),
      events: bench.core.events,
      trans
    });
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  async function show(profile: IProfile): Promise<void> {
    bench.answers['GET /profiles/p1'] = profile;
    model.visible = true;
    render(
      <ProfileView
        {...{ model, places, actions, api: bench.core.api, trans }}
      />
    );
    await act(() => settle());
  }

  const tab = (name: string) =>
    fireEvent.click(screen.getByRole('tab', { name }));

  it('names the target whose price a step has', async () => {
    const price = { usd_per_hour: 2.5, target: 'gpu1', usd_a_step: 0.000112 };
    await show(makeProfile(makeSummary({ price })));
    expect(screen.getByText('0.000112 USD')).toBeTruthy();
    expect(
      screen.getByText(
        'Cost per step: At 2.5 USD an hour, the price of target gpu1.'
      )
    ).toBeTruthy();
  });

  it('fetches a trace that is on a target', async () => {
    const profile = makeProfile(makeSummary(), { trace_target: 'gpu1' });
    bench.answers['GET /tasks'] = [];
    bench.answers['POST /profiles/p1/trace'] = {};
    await show(profile);
    expect(screen.getByText('The trace is on gpu1.')).toBeTruthy();
    expect(screen.queryByText('Download the trace')).toBeNull();
    fireEvent.click(screen.getByRole('button', { name: /Fetch the trace/ }));
    await act(() => settle());
    expect(bench.count('POST /profiles/p1/trace')).toBe(1);
    bench.answers['GET /profiles/p1'] = { ...profile, trace_target: '' };
    bench.change('profile', 'p1');
    await act(() => settle());
    expect(screen.queryByText('The trace is on gpu1.')).toBeNull();
    const link = screen.getByRole('link', { name: 'Download the trace' });
    expect(link.getAttribute('href')).toBe(
      'http://lab.example/genops/profiles/p1/perfetto/0'
    );
  });

  it('shows no cost per step for a trace without steps', async () => {
    const price = { usd_per_hour: 2.5, target: '', usd_a_step: null };
    await show(makeProfile(makeSummary({ price })));
    expect(
      screen.getByText(
        'Cost per step: At 2.5 USD an hour, the given price. The trace marks no steps.'
      )
    ).toBeTruthy();
  });

  it('names each part that is missing', async () => {
    await show(makeProfile(makeSummary()));
    expect(screen.getByText('The trace has no GPU events.')).toBeTruthy();
    expect(screen.getByText('The trace marks no steps.')).toBeTruthy();
    expect(
      screen.getByText('The trace shows no problem that GenOps Lab knows.')
    ).toBeTruthy();
    tab('Cells and lines');
    expect(screen.getByText(/does not record source lines/)).toBeTruthy();
    tab('Operators and GPU kernels');
    expect(screen.getByText('The trace has no operators.')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'GPU kernels' }));
    expect(screen.getByText('The trace has no GPU kernels.')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'By shapes' }));
    expect(screen.getByText(/FLOPs and bytes are not known/)).toBeTruthy();
  });

  it('gives advice by what it saves, with a way to its lines', async () => {
    const advice = (code: string, saving_us: number) => ({
      code,
      severity: 'high' as const,
      title: code,
      evidence: 'seen',
      saving_us,
      suggestion: 'change it',
      code_hint: 'code()',
      places: [makeLine(3, 1).place],
      moments: [],
      rank: null
    });
    await show(
      makeProfile(
        makeSummary({
          devices: [makeDevice()],
          incomplete: true,
          advice: [advice('small', 10), advice('large', 250)]
        })
      )
    );
    expect(
      screen.getByText(
        /incomplete: the advice covers only the part that could be read/
      )
    ).toBeTruthy();
    const articles = screen.getAllByRole('article');
    expect(articles.map(each => each.getAttribute('aria-label'))).toEqual([
      'large',
      'small'
    ]);
    expect(within(articles[0]).getByText('up to 250 µs (25 %)')).toBeTruthy();
    fireEvent.click(
      within(articles[0]).getByRole('button', { name: 'a.ipynb, line 3' })
    );
    expect(places.opened).toEqual(['c1:3']);
  });

  it('weighs a saving against the time of its own rank', async () => {
    const advice = (code: string, rank: number | null) => ({
      code,
      severity: 'high' as const,
      title: code,
      evidence: '',
      saving_us: 50,
      suggestion: '',
      code_hint: '',
      places: [],
      moments: [],
      rank
    });
    const one = makeDevice();
    await show(
      makeProfile(
        makeSummary({
          cpu: { span_us: 1e6, busy_us: 0, idle_us: 0 },
          ranks: [0, 1],
          devices: [
            { ...one, rank: 0, span_us: 1000 },
            { ...one, rank: 1, span_us: 500 }
          ],
          advice: [advice('gpu_idle', 1), advice('straggler', 1)]
        })
      )
    );
    expect(screen.getByText('up to 50 µs (10 %)')).toBeTruthy();
    expect(screen.getByText('up to 50 µs (5 %)')).toBeTruthy();
  });

  it('shows the whole cell once its notebook is open', async () => {
    await show(
      makeProfile(
        makeSummary({ attribution: makeAttribution([makeLine(2, 40, 'b()')]) })
      )
    );
    tab('Cells and lines');
    expect(screen.getAllByRole('row')).toHaveLength(2);
    places.cells.c1 = 'a()\nb()\nc()';
    act(() => places.changed.emit());
    expect(screen.getAllByRole('row')).toHaveLength(4);
    fireEvent.click(screen.getByRole('button', { name: 'Show line 2' }));
    expect(places.opened).toEqual(['c1:2']);
    fireEvent.click(
      screen.getByRole('button', { name: 'Times in the notebook' })
    );
    expect(actions.toggleGutter).toHaveBeenCalledTimes(1);
  });

  it('asks for the call tree when it is first seen, and says when there is none', async () => {
    bench.answers['GET /profiles/p1/flame'] = new Refusal(
      404,
      'not_found',
      'There is no file.'
    );
    await show(makeProfile(makeSummary()));
    expect(bench.count('GET /profiles/p1/flame')).toBe(0);
    tab('Flame graph');
    await act(() => settle());
    expect(bench.count('GET /profiles/p1/flame')).toBe(1);
    expect(screen.getByText('There is no file.')).toBeTruthy();
  });

  it('leads from a rank to its timeline, and to its flame graph', async () => {
    const flame = { host_us: 0, device_us: 0, nodes: [] };
    bench.answers['GET /profiles/p1/flame'] = flame;
    await show(
      makeProfile(
        makeSummary({
          ranks: [0, 3],
          devices: [makeDevice(), makeDevice({ rank: 3 })]
        })
      )
    );
    fireEvent.click(screen.getByRole('button', { name: 'Rank 3, Device 0' }));
    await act(() => settle());
    expect([model.tab, model.rank]).toEqual(['timeline', 3]);
    expect(bench.asked('GET /profiles/p1/timeline')).toEqual([{ rank: '3' }]);
    tab('Flame graph');
    await act(() => settle());
    const picker = screen.getByRole('combobox', { name: 'Rank' });
    expect((picker as HTMLSelectElement).value).toBe('3');
    fireEvent.change(picker, { target: { value: '0' } });
    await act(() => settle());
    expect(bench.asked('GET /profiles/p1/flame')).toEqual([
      { rank: '3' },
      { rank: '0' }
    ]);
    expect(model.rank).toBe(0);
  });

  it('shows a late rank beside the others, and any other advice of a rank alone', async () => {
    const advice = {
      severity: 'high' as const,
      evidence: 'seen',
      saving_us: 10,
      suggestion: '',
      code_hint: '',
      places: [],
      moments: [{ start_us: 1, end_us: 2 }],
      rank: 3
    };
    await show(
      makeProfile(
        makeSummary({
          ranks: [0, 3],
          devices: [makeDevice(), makeDevice({ rank: 3 })],
          advice: [
            { ...advice, code: 'straggler', title: 'Rank 3 is late' },
            { ...advice, code: 'gpu_idle', title: 'Idle' }
          ]
        })
      )
    );
    const lead = async (title: string) => {
      tab('Overview');
      const article = screen.getByRole('article', { name: title });
      fireEvent.click(
        within(article).getByRole('button', { name: /Show in the timeline/ })
      );
      await act(() => settle());
      return [model.tab, model.rank, model.marks?.rank, model.marks?.together];
    };
    expect(await lead('Idle')).toEqual(['timeline', 3, 3, false]);
    expect(await lead('Rank 3 is late')).toEqual(['timeline', null, 3, true]);
    tab('Overview');
    fireEvent.click(screen.getByRole('button', { name: 'Rank 0, Device 0' }));
    expect(model.rank).toBe(0);
    tab('Overview');
    fireEvent.click(
      screen.getByRole('button', { name: 'Show all ranks on one timeline' })
    );
    expect(model.rank).toBeNull();
  });

  it('moves between its views by arrows', async () => {
    await show(makeProfile(makeSummary()));
    fireEvent.keyDown(screen.getByRole('tab', { name: 'Overview' }), {
      key: 'ArrowRight'
    });
    expect(model.tab).toBe('lines');
    expect(document.activeElement?.textContent).toBe('Cells and lines');
    fireEvent.keyDown(document.activeElement!, { key: 'ArrowLeft' });
    fireEvent.keyDown(document.activeElement!, { key: 'ArrowLeft' });
    expect(model.tab).toBe('timeline');
    await act(() => settle());
  });

  it('shows a running analysis and a failed one', async () => {
    await show(makeProfile(null, { state: 'analyzing' }));
    expect(screen.getByText(/Analyzing the trace/)).toBeTruthy();
    bench.answers['GET /profiles/p1'] = makeProfile(null, {
      state: 'failed',
      message: 'Not JSON.'
    });
    bench.change('profile', 'p1');
    await act(() => settle());
    expect(screen.getByText('Not JSON.')).toBeTruthy();
  });
});
