import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { Contents } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';

import { ApiError } from '../../core';
import type { IGenOpsPanel } from '../../panel';
import { CommandIDs, addCommands } from '../commands';
import { writeRestored } from '../restoring';
import type { ExperimentsModel } from '../model';
import type { IRestoredNotebook } from '../service';

import { trans } from './support';

const NOTEBOOK = { nbformat: 4, nbformat_minor: 5, metadata: {}, cells: [] };

function restored(part: Partial<IRestoredNotebook> = {}): IRestoredNotebook {
  return {
    run_id: 'run1',
    name: 'fox-run1.ipynb',
    notebook: NOTEBOOK as unknown as IRestoredNotebook['notebook'],
    cells: 2,
    redacted: {},
    altered: 0,
    git_commit: '',
    git_branch: '',
    patch_files: 0,
    environment: { compared: false, python_then: '', packages: [], why: '' },
    ...part
  };
}

/** Files in memory, refused as Jupyter's contents refuse. */
class Files {
  readonly all = new Map<string, unknown>();
  refusal = 0;

  async newUntitled(
    options: Contents.ICreateOptions = {}
  ): Promise<Contents.IModel> {
    const path = PathExt.join(options.path ?? '', 'Untitled.ipynb');
    this.all.set(path, null);
    return { path } as Contents.IModel;
  }

  async save(
    path: string,
    options: Partial<Contents.IModel> = {}
  ): Promise<Contents.IModel> {
    this.all.set(path, options.content);
    return { path } as Contents.IModel;
  }

  async rename(from: string, to: string): Promise<Contents.IModel> {
    const status = this.refusal || (this.all.has(to) ? 409 : 0);
    if (status) {
      throw new ServerConnection.ResponseError(
        { status, statusText: 'no' } as Response,
        'no'
      );
    }
    this.all.set(to, this.all.get(from));
    this.all.delete(from);
    return { path: to } as Contents.IModel;
  }

  localPath(path: string): string {
    return path.replace(/^\w+:/, '');
  }
}

describe('writing a restored notebook', () => {
  it('takes the name of the run, in the folder that was given', async () => {
    const files = new Files();
    const path = await writeRestored(files, restored(), 'work');
    expect(path).toBe('work/fox-run1.ipynb');
    expect([...files.all]).toEqual([['work/fox-run1.ipynb', NOTEBOOK]]);
  });

  it('never writes over a file', async () => {
    const files = new Files();
    files.all.set('fox-run1.ipynb', 'mine');
    files.all.set('fox-run1-1.ipynb', 'mine too');
    expect(await writeRestored(files, restored(), '')).toBe('fox-run1-2.ipynb');
    expect(files.all.get('fox-run1.ipynb')).toBe('mine');
    expect(files.all.get('fox-run1-1.ipynb')).toBe('mine too');
  });

  it('keeps the name that Jupyter gave where none can be had', async () => {
    const files = new Files();
    files.refusal = 403;
    expect(await writeRestored(files, restored(), '')).toBe('Untitled.ipynb');
    expect(files.all.get('Untitled.ipynb')).toBe(NOTEBOOK);
  });
});

describe('the command', () => {
  let commands: CommandRegistry;
  let files: Files;
  let answer: () => IRestoredNotebook;
  const opened: unknown[] = [];
  const said: string[] = [];

  beforeEach(() => {
    commands = new CommandRegistry();
    files = new Files();
    answer = restored;
    opened.length = said.length = 0;
    for (const kind of ['success', 'warning', 'error'] as const) {
      jest
        .spyOn(Notification, kind)
        .mockImplementation((...given: unknown[]) => {
          said.push(`${kind}: ${String(given[0])}`);
          return '';
        });
    }
    commands.addCommand('docmanager:open', {
      execute: args => opened.push(args.path)
    });
    addCommands({
      commands,
      palette: null,
      notebooks: {
        currentWidget: { context: { path: 'RTC:work/train.ipynb' } }
      } as never,
      panel: {} as IGenOpsPanel,
      model: { opened: null } as ExperimentsModel,
      service: { restoredNotebook: async () => answer() },
      contents: files as unknown as Contents.IManager,
      trans
    });
  });

  afterEach(() => jest.restoreAllMocks());

  const run = () =>
    commands.execute(CommandIDs.restoreNotebook, { run_id: 'run1' });

  it('writes beside the notebook that is open, and opens it', async () => {
    await run();
    expect(opened).toEqual(['work/fox-run1.ipynb']);
    expect(said).toEqual(['success: fox-run1.ipynb is restored.']);
  });

  it('says that secrets were taken out', async () => {
    answer = () => restored({ redacted: { 'github token': 2 } });
    await run();
    expect(said[0]).toContain(
      'warning: fox-run1.ipynb is restored. Marks replace 2 secrets.'
    );
  });

  it('says why a run cannot be restored, and writes nothing', async () => {
    answer = () => {
      throw new ApiError({
        status: 404,
        code: 'no_cells',
        message: 'The run run1 has no cells.',
        hint: '--no-source was used.'
      });
    };
    await run();
    expect(said).toEqual([
      'error: The run run1 has no cells. --no-source was used.'
    ]);
    expect(files.all.size).toBe(0);
    expect(opened).toEqual([]);
  });

  it('needs a run', () => {
    expect(commands.isEnabled(CommandIDs.restoreNotebook)).toBe(false);
  });
});
