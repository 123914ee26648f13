import type { IStateDB } from '@jupyterlab/statedb';
import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';
import { addIcon } from '@jupyterlab/ui-components';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { PromiseDelegate } from '@lumino/coreutils';
import { Widget } from '@lumino/widgets';
import { act, fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';

import { Resource } from '../../core/resource';
import { CurrentNotebook } from '../notebook/current';
import type { INotebookPart } from '../notebook/tokens';
import { NotebookView } from '../notebook/view';
import { GenOpsPanel } from '../panel';
import { STATE_KEY } from '../section-states';
import type { ISection, ISectionOptions } from '../tokens';

const trans = nullTranslator.load('genops_lab');

function options(
  id: string,
  rank: number,
  atFirst: ISectionOptions['atFirst'] = 'open'
): ISectionOptions {
  return {
    id,
    rank,
    atFirst,
    title: id.toUpperCase(),
    icon: addIcon,
    render: jest.fn(() => <p>{`content of ${id}`}</p>)
  };
}

async function settle(): Promise<void> {
  await act(() => new Promise<void>(resolve => setTimeout(resolve, 60)));
}

async function attached(state?: IStateDB): Promise<GenOpsPanel> {
  const panel = new GenOpsPanel({
    trans,
    state,
    onRefresh: () => undefined,
    onMore: () => undefined
  });
  act(() => Widget.attach(panel, document.body));
  await settle();
  return panel;
}

const toggles = (panel: GenOpsPanel) =>
  Array.from(
    panel.node.querySelectorAll<HTMLButtonElement>('.gol-Section-toggle')
  );

describe('GenOpsPanel', () => {
  let panel: GenOpsPanel;

  afterEach(() => panel.dispose());

  it('orders sections by rank, each a labelled region', async () => {
    panel = await attached();
    const models = options('models', 40);
    panel.addSection(models);
    panel.addSection(options('compute', 10));
    await settle();
    expect(toggles(panel).map(b => b.textContent)).toEqual([
      'COMPUTE',
      'MODELS'
    ]);
    const [, toggle] = toggles(panel);
    expect(toggle.getAttribute('aria-expanded')).toBe('true');
    const body = document.getElementById(
      toggle.getAttribute('aria-controls')!
    )!;
    expect(body.getAttribute('role')).toBe('region');
    expect(body.getAttribute('aria-labelledby')).toBe(toggle.id);
    expect(body.textContent).toBe('content of models');
    expect(models.render).toHaveBeenCalledTimes(1);
    expect(() => panel.addSection(options('models', 1))).toThrow();
  });

  it('keeps what is closed, and renders it only when opened', async () => {
    const state = new StateDB();
    panel = await attached(state);
    panel.addSection(options('compute', 10));
    await settle();
    toggles(panel)[0].click();
    await settle();
    expect(await state.fetch(STATE_KEY)).toEqual({
      expanded: { compute: false },
      hidden: {}
    });
    panel.dispose();

    panel = await attached(state);
    const again = options('compute', 10);
    panel.addSection(again);
    await settle();
    expect(toggles(panel)[0].getAttribute('aria-expanded')).toBe('false');
    expect(again.render).not.toHaveBeenCalled();
  });

  it('loads what is in a section when it is first seen open', async () => {
    panel = await attached();
    panel.hide();
    const models = options('models', 40);
    panel.addSection(models);
    await settle();
    expect(models.render).not.toHaveBeenCalled();
    panel.show();
    await settle();
    expect(models.render).toHaveBeenCalledTimes(1);
    panel.hide();
    panel.show();
    expect(models.render).toHaveBeenCalledTimes(1);
  });

  it('shows that a section loads, why it cannot, and tries again', async () => {
    const error = jest.spyOn(console, 'error').mockImplementation();
    const code = new PromiseDelegate<React.ReactElement>();
    const gone = Object.assign(new Error('Loading chunk 7 failed.'), {
      name: 'ChunkLoadError'
    });
    const render = jest
      .fn<Promise<React.ReactElement>, []>()
      .mockRejectedValueOnce(gone)
      .mockReturnValue(code.promise);
    panel = await attached();
    panel.addSection({ ...options('models', 40), render });
    await settle();
    const body = panel.node.querySelector<HTMLElement>('.gol-Section-body')!;
    expect(body.textContent).toContain('This view cannot be loaded.');
    expect(body.textContent).toContain('reload the page');
    expect(error).toHaveBeenCalled();

    body.querySelector('button')!.click();
    await settle();
    expect(body.querySelector('[role=status]')!.textContent).toBe('Loading…');
    code.resolve(<p>models</p>);
    await settle();
    expect(body.textContent).toBe('models');
    expect(body.children).toHaveLength(1);
    expect(render).toHaveBeenCalledTimes(2);
    error.mockRestore();
  });

  it('drives resources by what a person can see', async () => {
    panel = await attached();
    const section = panel.addSection(options('models', 40));
    const resource = new Resource({ fetch: async () => 1, trans });
    const end = section.drive(resource);
    expect(resource.visible).toBe(true);
    panel.hide();
    expect(resource.visible).toBe(false);
    panel.show();
    expect(resource.visible).toBe(true);
    section.expanded = false;
    expect(resource.visible).toBe(false);
    section.expanded = true;
    expect(resource.visible).toBe(true);

    const hidden = jest
      .spyOn(document, 'visibilityState', 'get')
      .mockReturnValue('hidden');
    document.dispatchEvent(new Event('visibilitychange'));
    expect(resource.visible).toBe(false);
    expect(panel.isSeen).toBe(false);
    hidden.mockRestore();
    document.dispatchEvent(new Event('visibilitychange'));
    expect(resource.visible).toBe(true);

    end.dispose();
    expect(resource.visible).toBe(false);
    resource.dispose();
  });

  it('moves between headings by the arrow keys', async () => {
    panel = await attached();
    panel.addSection(options('compute', 10));
    panel.addSection(options('models', 40));
    await settle();
    const [first, second] = toggles(panel);
    const press = (key: string) =>
      document.activeElement!.dispatchEvent(
        new KeyboardEvent('keydown', { key, bubbles: true })
      );
    first.focus();
    press('ArrowDown');
    expect(document.activeElement).toBe(second);
    press('Home');
    expect(document.activeElement).toBe(first);
    press('End');
    expect(document.activeElement).toBe(second);
  });

  it('leaves out rooms that are switched off', async () => {
    panel = await attached();
    panel.allow(['compute'], ['compute', 'models']);
    panel.addSection(options('compute', 10));
    panel.addSection(options('models', 40));
    panel.addSection(options('mine', 90));
    expect(panel.section('models')?.isHidden).toBe(true);
    expect(panel.section('mine')?.isHidden).toBe(false);
    expect(['compute', 'models', 'mine'].map(id => panel.offers(id))).toEqual([
      true,
      false,
      true
    ]);
    panel.allow(['compute', 'models'], ['compute', 'models']);
    expect(panel.section('models')?.isHidden).toBe(false);
  });
  const shown = () =>
    panel.sections
      .filter(section => !section.isHidden)
      .map(({ options: { id }, expanded }) => (expanded ? `${id}+` : id));

  /** As the plugins add them. */
  const addAll = () => {
    panel.addSection(options('notebook', 0, 'open'));
    panel.addSection(options('experiments', 10, 'closed'));
    panel.addSection(options('models', 20, 'closed'));
  };

  it('shows a person who is new here one open section, and keeps what the person hides and opens', async () => {
    const state = new StateDB();
    panel = await attached(state);
    addAll();
    await settle();
    expect(shown()).toEqual(['notebook+', 'experiments', 'models']);

    panel.reveal('experiments');
    panel.setSectionHidden('models', true);
    expect(shown()).toEqual(['notebook+', 'experiments+']);
    await settle();
    panel.dispose();
    panel = await attached(state);
    addAll();
    await settle();
    expect(shown()).toEqual(['notebook+', 'experiments+']);

    panel.reset();
    expect(shown()).toEqual(['notebook+', 'experiments', 'models']);
    expect(await state.fetch(STATE_KEY)).toBeUndefined();
  });

  it('keeps the sections of a person whose state is of an earlier version', async () => {
    const state = new StateDB();
    await state.save(STATE_KEY, {
      expanded: { models: false, profiles: true }
    });
    panel = await attached(state);
    addAll();
    await settle();
    // All were open then, but for what was closed.
    expect(shown()).toEqual(['notebook+', 'experiments+', 'models']);
  });

  it('shows no section that is switched off, whatever the person does', async () => {
    panel = await attached();
    addAll();
    await settle();
    panel.allow(['experiments'], ['experiments', 'models']);
    panel.reveal('models');
    expect(shown()).toEqual(['notebook+', 'experiments']);
    panel.reset();
    expect(shown()).toEqual(['notebook+', 'experiments']);
  });

  it('gives the keyboard the next heading when a section is hidden', async () => {
    panel = await attached();
    addAll();
    await settle();
    panel.section('notebook')!.node.querySelector('button')!.focus();
    panel.setSectionHidden('notebook', true);
    expect(document.activeElement?.textContent).toBe('EXPERIMENTS');
  });

  it('says on top what needs a person, the newest first, one until the others are asked for', async () => {
    panel = await attached();
    await settle();
    const strip = panel.node.querySelector('.gol-Strip')!;
    const hidden = () => strip.classList.contains('lm-mod-hidden');
    const texts = () =>
      [...strip.querySelectorAll('.gol-Attention-text')].map(
        each => each.textContent
      );
    expect(hidden()).toBe(true);
    const execute = jest.fn();
    const action = { label: 'Answer', caption: '', execute };
    const item = { id: '1', tone: 'warning', action } as const;
    panel.attention.put('a', [
      { ...item, text: 'older', since: 1 },
      { ...item, id: '2', text: 'newest', since: 3 }
    ]);
    panel.attention.put('b', [{ ...item, text: 'newer', since: 2 }]);
    await settle();
    expect(hidden()).toBe(false);
    expect(texts()).toEqual(['newest']);
    const more = strip.querySelector<HTMLButtonElement>('.gol-Strip-more')!;
    expect(more.textContent).toBe('2 more');
    expect(more.getAttribute('aria-expanded')).toBe('false');
    await act(async () => more.click());
    expect(texts()).toEqual(['newest', 'newer', 'older']);
    strip.querySelector('button')!.click();
    expect(execute).toHaveBeenCalledTimes(1);
    await act(async () => {
      panel.attention.put('a', []);
      panel.attention.put('b', []);
    });
    expect(hidden()).toBe(true);
  });
});

describe('the section This notebook', () => {
  it('follows the notebook in front, and leaves out parts that are switched off', async () => {
    const notebook = (path: string) =>
      ({
        context: { path, pathChanged: new Signal({}) },
        sessionContext: {
          kernelChanged: new Signal({}),
          statusChanged: new Signal({})
        }
      }) as unknown as NotebookPanel;
    const tracker = {
      currentWidget: null as NotebookPanel | null,
      currentChanged: new Signal<INotebookTracker, NotebookPanel | null>(
        {} as INotebookTracker
      )
    };
    const current = new CurrentNotebook(tracker, {
      localPath: path => path.replace('RTC:', '')
    });
    const own = new GenOpsPanel({
      trans,
      onRefresh: () => undefined,
      onMore: () => undefined
    });
    const part = (text: string, more: Partial<INotebookPart>) => ({
      rank: 1,
      render: async () => <p>{text}</p>,
      ...more
    });
    const parts = [
      part('run', { room: 'experiments' }),
      part('start', { rank: 2, always: true })
    ];
    const seenChanged = new Signal<ISection, boolean>({} as ISection);
    const section = { isSeen: false, seenChanged } as unknown as ISection;
    const onNew = jest.fn();
    const added = new Signal<object, void>({});
    render(
      <NotebookView
        {...{ current, added, trans, onNew }}
        parts={() => parts}
        panel={own as never}
        section={section}
      />
    );
    await settle();
    expect(screen.getByText(/^No notebook is open/)).toBeTruthy();
    expect(screen.queryByText('start')).toBeNull();
    seenChanged.emit(true);
    await settle();
    expect(screen.getByText('start')).toBeTruthy();
    expect(screen.queryByText('run')).toBeNull();
    fireEvent.click(screen.getByRole('button', { name: 'New notebook' }));
    expect(onNew).toHaveBeenCalled();

    const first = notebook('RTC:work/first.ipynb');
    tracker.currentChanged.emit(first);
    await settle();
    expect(screen.getByText('first.ipynb').title).toBe('work/first.ipynb');
    expect(screen.getByText('run')).toBeTruthy();
    own.allow([], ['experiments']);
    await settle();
    expect(screen.queryByText('run')).toBeNull();

    tracker.currentChanged.emit(notebook('second.ipynb'));
    await settle();
    expect(screen.getByText('second.ipynb')).toBeTruthy();
    const told = jest.fn();
    current.changed.connect(told);
    (first.context.pathChanged as Signal<unknown, unknown>).emit('');
    expect(told).not.toHaveBeenCalled();
    own.dispose();
  });
});
