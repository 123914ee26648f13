import { Notification } from '@jupyterlab/apputils';

import { Bench, settle } from '../../../tasks/__tests__/support';
import { AnswersService } from '../service';
import { EvaluationActions } from '../state';

const LEFT = 'box still has files of there-1: box is not connected.';

describe('deleting an evaluation', () => {
  it('says what is left on the host of its target', async () => {
    const bench = new Bench({
      'DELETE /answer-evaluations/there-1': { left: LEFT }
    });
    const service = new AnswersService(bench.core.api);
    const deleted = jest.fn();
    new EvaluationActions(
      service,
      bench.core,
      () => Promise.resolve(),
      deleted
    ).remove('there-1');
    await settle();
    const dialog = document.querySelector('.jp-Dialog')!;
    dialog.querySelector<HTMLButtonElement>('.jp-mod-accept')!.click();
    await settle();
    expect(deleted).toHaveBeenCalledTimes(1);
    const told = Notification.manager.notifications;
    expect(told.map(({ message }) => message)).toEqual([LEFT]);
    bench.dispose();
  });
});
