import { Dialog, showDialog } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';

import { closeWhenBack } from '../connection-dialog';

describe("JupyterLab's dialog of a lost connection", () => {
  let isAway = true;
  const fetched: string[] = [];
  const onBack = jest.fn();
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://lab.example/a/',
    fetch: async input => {
      fetched.push(new URL((input as Request).url).pathname);
      if (isAway) {
        throw new TypeError('Failed to fetch');
      }
      return new Response('{}');
    }
  });

  beforeAll(() => closeWhenBack(nullTranslator, settings, onBack));
  beforeEach(() => {
    isAway = true;
    fetched.length = 0;
    onBack.mockClear();
  });

  const tick = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

  it('goes when the server answers again', async () => {
    const closed = showDialog({ title: 'Server Connection Error' });
    await tick(1500);
    expect(fetched).toEqual(['/a/api/status']);
    expect(Dialog.tracker.size).toBe(1);
    isAway = false;
    expect((await closed).button.accept).toBe(false);
    expect(onBack).toHaveBeenCalledTimes(1);
  });

  it('leaves every other dialog alone', async () => {
    isAway = false;
    const closed = showDialog({ title: 'Delete the run?' });
    await tick(1500);
    expect(fetched).toEqual([]);
    Dialog.tracker.forEach(dialog => dialog.reject());
    await closed;
    expect(onBack).not.toHaveBeenCalled();
  });
});
