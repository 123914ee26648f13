import { Notification } from '@jupyterlab/apputils';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { ExperimentActions } from '../experiment-actions';
import type { RunList } from '../run-list';

describe('the actions on experiments', () => {
  const vision = {
    id: '7',
    name: 'vision',
    created_at: null,
    updated_at: null
  };
  let bench: Bench;
  let chosen: string[];
  let actions: ExperimentActions;

  beforeEach(() => {
    Notification.dismiss();
    bench = new Bench({
      'POST /experiments/delete': vision,
      'POST /experiments/undelete': vision
    });
    chosen = [];
    const list = {
      query: { experiment: '7', filter: 'x' },
      setQuery: async ({ experiment }: { experiment: string }) => {
        chosen.push(experiment);
      }
    } as unknown as RunList;
    actions = new ExperimentActions(bench.core.api, list, trans);
  });

  afterEach(() => bench.dispose());

  it('deletes one without a question, and restores it by Undo', async () => {
    await actions.delete(vision);
    expect(bench.bodies).toEqual([{ experiment: '7' }]);
    const [{ message, options }] = Notification.manager.notifications;
    expect(message).toBe('Experiment “vision” deleted, with its runs.');
    options.actions![0].callback(new MouseEvent('click'));
    await settle();
    expect(bench.calls).toEqual([
      'POST /experiments/delete',
      'POST /experiments/undelete'
    ]);
    expect(chosen).toEqual(['', '7']);
  });

  it('says why one cannot be deleted', async () => {
    bench.answers['POST /experiments/delete'] = new Refusal(
      503,
      'unavailable',
      'MLflow is away.',
      'Start it.'
    );
    await actions.delete(vision);
    const [{ message }] = Notification.manager.notifications;
    expect(message).toBe('MLflow is away. Start it.');
    expect(chosen).toEqual([]);
  });

  it('adds one by its name, and chooses it', async () => {
    bench.answers['POST /experiments'] = { ...vision, id: '8' };
    const done = actions.add();
    await settle();
    const dialog = document.querySelector('.jp-Dialog')!;
    dialog.querySelector('input')!.value = ' new ';
    dialog.querySelector<HTMLElement>('.jp-mod-accept')!.click();
    await done;
    expect(bench.bodies).toEqual([{ name: 'new' }]);
    expect(chosen).toEqual(['8']);
  });
});
