import type { IStateDB } from '@jupyterlab/statedb';
import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';
import { addIcon } from '@jupyterlab/ui-components';
import { PromiseDelegate } from '@lumino/coreutils';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { Resource } from '../../core/resource';
import { GenOpsPanel, STATE_KEY } from '../panel';
import type { ISectionOptions } from '../tokens';

const trans = nullTranslator.load('genops_lab');

function options(id: string, rank: number): ISectionOptions {
  return {
    id,
    rank,
    title: id.toUpperCase(),
    icon: addIcon,
    render: jest.fn(() => <p>{`content of ${id}`}</p>)
  };
}

async function settle(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 60));
}

async function attached(state?: IStateDB): Promise<GenOpsPanel> {
  const panel = new GenOpsPanel({ trans, state, onRefresh: () => undefined });
  Widget.attach(panel, document.body);
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

  it('orders sections by rank, open, each a labelled region', async () => {
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
      expanded: { compute: false }
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
});
