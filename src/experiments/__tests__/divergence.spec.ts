import { Notification } from '@jupyterlab/apputils';

import type { IAttention } from '../../panel/tokens';
import { DivergenceNotices } from '../divergence-notices';

import { FakeServer, makeRun, trans } from './support';

describe('notices of runs that diverge', () => {
  const open = jest.fn();
  const attend = jest.fn<void, [readonly IAttention[]]>();
  let server: FakeServer;
  let notices: DivergenceNotices;

  beforeEach(() => {
    server = new FakeServer();
    const { service } = server;
    notices = new DivergenceNotices({ core: { trans }, service, open, attend });
  });

  afterEach(() => {
    notices.dispose();
    Notification.dismiss();
  });

  const shown = () =>
    Notification.manager.notifications.map(({ message }) => message);

  async function diverges(number: number, tags: Record<string, string>) {
    const run = makeRun(number, { tags });
    server.runs = [run, ...server.runs.filter(each => each.name !== run.name)];
    notices.look(run.run_id);
    await new Promise(resolve => setTimeout(resolve, 0));
  }

  const tag = (words: string) => ({ 'genops.diverged': words });

  it('are one a run, with what more became of it and a way there', async () => {
    await diverges(1, tag('loss is NaN since step 12'));
    expect(shown()).toEqual([
      'Run “fox-1”: the metric “loss” is NaN since step 12.'
    ]);
    await diverges(
      1,
      tag('loss is NaN since step 12, norm is Infinity since step 13')
    );
    expect(shown()).toEqual([
      'Run “fox-1”: the metric “loss” is NaN since step 12. 1 more metric is not finite.'
    ]);
    const { options } = Notification.manager.notifications[0];
    expect(options.autoClose).toBe(false);
    options.actions?.[0].callback(new MouseEvent('click'));
    expect(open).toHaveBeenCalledWith('run0001');

    Notification.dismiss();
    await diverges(1, tag('loss is NaN since step 12'));
    expect(shown()).toEqual([]);
  });

  it('are said in the panel until the run is looked at', async () => {
    await diverges(1, tag('loss is NaN since step 12'));
    await diverges(3, tag('loss is NaN since step 2'));
    const [items] = attend.mock.lastCall!;
    expect(items.map(({ text }) => text)).toEqual([
      'Run “fox-1”: the metric “loss” is NaN since step 12.',
      'Run “fox-3”: the metric “loss” is NaN since step 2.'
    ]);
    items[0].action!.execute();
    expect(open).toHaveBeenLastCalledWith('run0001');
    expect(attend.mock.lastCall![0]).toHaveLength(1);
    items[1].dismiss!();
    expect(attend.mock.lastCall![0]).toEqual([]);
  });

  it('are two at most, and none of the trials of a sweep', async () => {
    await diverges(1, tag('a is NaN since step 1'));
    await diverges(2, {
      ...tag('b is NaN since step 1'),
      'genops.sweep': 's1'
    });
    await diverges(3, tag('c is NaN since step 1'));
    await diverges(4, tag('d is NaN since step 1'));
    expect(
      shown()
        .map(message => /metric “(.)”/.exec(message)?.[1])
        .sort()
    ).toEqual(['c', 'd']);
  });
});
