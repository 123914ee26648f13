import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { CommandRegistry } from '@lumino/commands';

import { page, Bench, settle } from '../../tasks/__tests__/support';
import { CommandIDs, addCommands } from '../commands';
import { ProfilesService } from '../service';

const LEFT =
  'The trace gpu1:/t.json.gz is deleted when gpu1 is connected next.';

describe('deleting a profile', () => {
  it('says what is deleted on its target, and what stays', async () => {
    const bench = new Bench({
      'GET /profiles': page([
        { id: 'p1', title: 'one epoch', artifact: '', trace_target: 'gpu1' }
      ]),
      'DELETE /profiles/p1': { id: 'p1', left: LEFT }
    });
    const commands = new CommandRegistry();
    addCommands({
      app: { commands } as JupyterFrontEnd,
      core: bench.core,
      service: new ProfilesService(bench.core.api),
      notebooks: null,
      palette: null,
      restorer: null
    });
    const deleted = commands.execute(CommandIDs.remove, { id: 'p1' });
    await settle();
    const dialog = document.querySelector('.jp-Dialog')!;
    expect(dialog.textContent).toContain(
      'A trace that a profiled cell wrote on gpu1 is deleted too'
    );
    dialog.querySelector<HTMLButtonElement>('.jp-mod-accept')!.click();
    await deleted;
    expect(bench.count('DELETE /profiles/p1')).toBe(1);
    const told = Notification.manager.notifications;
    expect(told.map(({ message }) => message)).toEqual([LEFT]);
    bench.dispose();
  });
});
