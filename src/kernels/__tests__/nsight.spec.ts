import '../../profiling/__tests__/mock-confirm';

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { CommandRegistry } from '@lumino/commands';

import { confirm } from '../../core/ui/confirm';
import { Bench } from '../../tasks/__tests__/support';
import { NsightCommandIDs, addNsightCommands } from '../nsight/commands';
import type { SetChoice } from '../nsight/set-choice';

const made = {
  name: 'python3-nsight',
  display_name: 'Python 3 (Nsight Systems)',
  version: '2024.6.2'
};
const specs = {
  kernelspecs: {
    python3: { metadata: {} },
    'python3-nsight': {
      metadata: { genops: { nsight: 'systems', of: 'python3' } }
    },
    'python3-nsight-compute': {
      metadata: { genops: { nsight: 'compute', of: 'python3', set: 'basic' } }
    }
  }
};
const changeKernel = jest.fn(() => Promise.resolve());
const refreshSpecs = jest.fn(() => Promise.resolve());
let offered = true;
let bench: Bench;
let commands: CommandRegistry;

/** The commands, with a notebook that has this kernel; without a name it has none. */
function begin(
  kernel: string,
  answers: ConstructorParameters<typeof Bench>[0]
): void {
  bench = new Bench(answers);
  commands = new CommandRegistry();
  const session = kernel ? { kernel: { name: kernel } } : null;
  addNsightCommands({
    app: {
      commands,
      serviceManager: { kernelspecs: { specs, refreshSpecs } }
    } as unknown as JupyterFrontEnd,
    core: bench.core,
    notebooks: {
      currentWidget: { sessionContext: { session, changeKernel } }
    } as unknown as INotebookTracker,
    palette: null,
    isOffered: () => offered
  });
}

beforeEach(() => jest.clearAllMocks());

afterEach(() => {
  Notification.dismiss();
  bench.dispose();
});

describe('a kernel with Nsight', () => {
  const enabled = () =>
    [
      NsightCommandIDs.restart,
      NsightCommandIDs.measure,
      NsightCommandIDs.leave
    ].map(id => commands.isEnabled(id));

  it('is offered for a plain kernel, and the way back for one with it', () => {
    begin('python3', {});
    expect(enabled()).toEqual([true, true, false]);
    bench.dispose();
    begin('python3-nsight', {});
    expect(enabled()).toEqual([false, true, true]);
    bench.dispose();
    begin('python3-nsight-compute', {});
    expect(enabled()).toEqual([true, true, true]);
    bench.dispose();
    begin('', {});
    expect(enabled()).toEqual([false, false, false]);
  });

  it('is not in menus where the administrator switched it off', () => {
    begin('python3', {});
    const visible = () => commands.isVisible(NsightCommandIDs.restart);
    expect(visible()).toBe(true);
    offered = false;
    expect(visible()).toBe(false);
    offered = true;
  });

  it('is started once the person agreed to lose their variables', async () => {
    begin('python3', { 'POST /compute/nsight/kernels': made });
    jest.mocked(confirm).mockResolvedValueOnce(false);
    await commands.execute(NsightCommandIDs.restart);
    expect(changeKernel).not.toHaveBeenCalled();
    jest.mocked(confirm).mockResolvedValueOnce(true);
    await commands.execute(NsightCommandIDs.restart);
    expect(refreshSpecs).toHaveBeenCalled();
    expect(changeKernel).toHaveBeenCalledWith({ name: 'python3-nsight' });
  });

  it('measures with the set that was chosen', async () => {
    begin('python3', {
      'POST /compute/nsight/kernels': (body: { section_set: string }) => ({
        ...made,
        name: `python3-nsight-compute-${body.section_set}`
      })
    });
    jest.mocked(confirm).mockImplementationOnce(({ body }) => {
      (body as SetChoice).chosen = 'full';
      return Promise.resolve(true);
    });
    await commands.execute(NsightCommandIDs.measure);
    expect(changeKernel).toHaveBeenCalledWith({
      name: 'python3-nsight-compute-full'
    });
  });

  it('is left for the kernel that it was made of', async () => {
    begin('python3-nsight', {});
    jest.mocked(confirm).mockResolvedValueOnce(true);
    await commands.execute(NsightCommandIDs.leave);
    expect(changeKernel).toHaveBeenCalledWith({ name: 'python3' });
  });
});
