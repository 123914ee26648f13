import {
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { PagedResource } from '../../core';
import { trans } from '../../tasks/__tests__/support';
import type { ILineage, ILineageEdge, ILineageNode } from '../layout';
import { CARD, layout, next } from '../layout';
import { foldText, nameOf, shortFacts } from '../messages';
import { target } from '../opening';
import { LineageContent } from '../view/lineage';

const node = (
  id: string,
  kind: ILineageNode['kind'],
  column: number,
  part: Partial<ILineageNode> = {}
): ILineageNode => ({
  id,
  kind,
  name: id,
  column,
  deleted: false,
  digest: '',
  source: '',
  run_id: '',
  status: '',
  experiment: '',
  user: '',
  started_at: null,
  commit: '',
  dirty: false,
  cells: null,
  environment: '',
  model: '',
  version: '',
  aliases: [],
  state: '',
  owner: '',
  ...part
});

const edge = (
  start: string,
  end: string,
  kind: ILineageEdge['kind'],
  context = ''
): ILineageEdge => ({ start, end, kind, context });

/** A data set, two runs, their versions, one that is derived, and a deployment. */
const lineage = (): ILineage => ({
  root: 'data',
  nodes: [
    node('data', 'data', 0, { digest: 'aaa1' }),
    node('run1', 'run', 1, { run_id: 'a'.repeat(32), commit: '9f8e7d6c5b' }),
    node('run2', 'run', 1, { run_id: 'b'.repeat(32) }),
    node('v1', 'version', 2, { name: 'digits', version: '1' }),
    node('v2', 'version', 2, {
      name: 'digits',
      version: '2',
      aliases: ['champion']
    }),
    node('small', 'version', 3, { version: '1', deleted: true }),
    node('prod', 'deployment', 4, { state: 'running', version: '1' })
  ],
  edges: [
    edge('data', 'run1', 'input', 'training'),
    edge('data', 'run2', 'input', 'evaluation'),
    edge('run1', 'v1', 'logged'),
    edge('run2', 'v2', 'evaluated'),
    edge('v1', 'small', 'derived'),
    edge('small', 'prod', 'serves')
  ],
  folds: [
    {
      kind: 'run',
      count: 37,
      upward: false,
      column: 1,
      without_version: false,
      at_least: false
    }
  ],
  notes: ['The shared store does not answer.']
});

describe('the layout of a lineage', () => {
  it('places kinds from left to right without overlaps', () => {
    const { cards, lines, folds, width, height } = layout(lineage());
    const x = new Map(cards.map(card => [card.node.id, card.x]));
    for (const { edge: each } of lines) {
      expect(x.get(each.start)).toBeLessThan(x.get(each.end)!);
    }
    for (const one of cards) {
      expect(one.x + CARD.width).toBeLessThanOrEqual(width);
      expect(one.y + CARD.height).toBeLessThanOrEqual(height);
      const above = cards.filter(
        other =>
          other !== one &&
          other.column === one.column &&
          Math.abs(other.y - one.y) < CARD.height
      );
      expect(above).toEqual([]);
    }
    expect(folds[0].y).toBeGreaterThan(
      Math.max(...cards.filter(card => card.column === 1).map(card => card.y))
    );
  });

  it('leaves out empty columns, and draws a circle', () => {
    const shown = lineage();
    shown.nodes = shown.nodes.filter(({ kind }) => kind === 'version');
    shown.folds = [];
    shown.edges = [
      edge('v1', 'small', 'derived'),
      edge('small', 'v1', 'derived')
    ];
    const { cards, lines } = layout(shown);
    expect(Math.min(...cards.map(({ x }) => x))).toBe(0);
    expect(lines).toHaveLength(2);
  });

  it('places 200 cards within a moment, with few crossings', () => {
    const nodes = [node('d', 'data', 0)];
    const edges: ILineageEdge[] = [];
    for (let at = 0; at < 99; at++) {
      // Versions come in another order than their runs.
      nodes.push(node(`r${at}`, 'run', 1), node(`v${98 - at}`, 'version', 2));
      edges.push(
        edge('d', `r${at}`, 'input'),
        edge(`r${at}`, `v${at}`, 'logged')
      );
    }
    const placed = layout({ root: 'd', nodes, edges, folds: [], notes: [] });
    const y = new Map(placed.cards.map(card => [card.node.id, card.y]));
    for (let at = 0; at < 99; at++) {
      expect(y.get(`r${at}`)).toBe(y.get(`v${at}`));
    }
  });

  it('walks along the lines with the arrow keys', () => {
    const placed = layout(lineage());
    expect(next(placed, 'run1', 'ArrowRight')).toBe('v1');
    expect(next(placed, 'v1', 'ArrowRight')).toBe('small');
    expect(next(placed, 'small', 'ArrowRight')).toBe('prod');
    expect(next(placed, 'prod', 'ArrowRight')).toBeNull();
    expect(next(placed, 'v2', 'ArrowLeft')).toBe('run2');
    expect(next(placed, 'data', 'ArrowLeft')).toBeNull();
    const [upper, lower] = placed.cards
      .filter(card => card.column === 1)
      .map(card => card.node.id);
    expect(next(placed, upper, 'ArrowDown')).toBe(lower);
    expect(next(placed, upper, 'ArrowUp')).toBeNull();
    expect(next(placed, lower, 'ArrowUp')).toBe(upper);
    expect(next(placed, 'nobody', 'ArrowUp')).toBeNull();
  });
});

describe('the page of a lineage', () => {
  const open = jest.fn();
  const recentre = jest.fn();
  const page = jest.fn(({ after }: { after?: string }) =>
    Promise.resolve({
      items: [
        node(after ? 'old' : 'new', 'run', 1, { run_id: after ?? 'first' })
      ],
      next: after ? '' : 'more'
    })
  );
  const runs = () =>
    new PagedResource({ fetch: page, key: ({ id }) => id, trans });

  beforeEach(() => {
    jest.clearAllMocks();
    render(
      <LineageContent
        {...{ open, recentre, runs, trans }}
        lineage={lineage()}
      />
    );
  });

  afterEach(cleanup);

  const picture = () => screen.getByRole('group', { name: /^Lineage/ });
  const card = (name: RegExp) =>
    within(picture()).getByRole('button', { name });
  const detail = () => screen.getByRole('region', { name: 'Selected object' });

  it('has one card in the order of Tab, and the arrow keys move on from it', () => {
    const inOrder = within(picture())
      .getAllByRole('button')
      .filter(({ tabIndex }) => tabIndex === 0);
    expect(inOrder).toHaveLength(1);
    card(/Data set data/).focus();
    fireEvent.keyDown(document.activeElement!, { key: 'ArrowRight' });
    expect(document.activeElement!.textContent).toMatch(/^Run/);
    card(/Run run1/).focus();
    fireEvent.keyDown(document.activeElement!, { key: 'ArrowRight' });
    expect(document.activeElement).toBe(card(/digits v1/));
    expect(within(detail()).getByRole('heading').textContent).toBe(
      'digits version 1'
    );
    fireEvent.keyDown(document.activeElement!, { key: 'Enter' });
    expect(open).toHaveBeenCalledWith(
      expect.objectContaining({ id: 'v1', kind: 'version' })
    );
    fireEvent.keyDown(document.activeElement!, { key: 'Home' });
    expect(document.activeElement).toBe(card(/Data set data/));
  });

  it('shows the facts of what is selected, and its lineage', () => {
    fireEvent.click(card(/Run run1/));
    expect(detail().textContent).toContain('9f8e7d6c5b');
    fireEvent.click(within(detail()).getByText('Open the run'));
    expect(open).toHaveBeenCalledTimes(1);
    fireEvent.click(within(detail()).getByText('Show its lineage'));
    expect(recentre).toHaveBeenCalledWith(
      expect.objectContaining({ id: 'run1' })
    );
    fireEvent.click(card(/small v1/));
    expect(within(detail()).queryByText('Show in Models')).toBeNull();
  });

  it('says what is left out and what could not be read', () => {
    expect(within(picture()).getByText('and 37 more runs')).toBeTruthy();
    expect(screen.getByText('The shared store does not answer.')).toBeTruthy();
  });

  it('lists the runs without a version, page by page', async () => {
    cleanup();
    const grouped = lineage();
    grouped.folds = [
      {
        kind: 'run',
        count: 4950,
        upward: false,
        column: 1,
        without_version: true,
        at_least: false
      }
    ];
    render(
      <LineageContent {...{ open, recentre, runs, trans }} lineage={grouped} />
    );
    expect(page).not.toHaveBeenCalled();
    fireEvent.click(
      within(picture()).getByRole('button', {
        name: '4,950 runs without a version'
      })
    );
    const list = await screen.findByRole('list', {
      name: 'Runs without a version'
    });
    expect(within(list).getAllByRole('button')).toHaveLength(1);
    expect(document.activeElement!.getAttribute('aria-expanded')).toBe('true');
    fireEvent.click(screen.getByText('Show more'));
    fireEvent.click(await within(list).findByRole('button', { name: 'old' }));
    expect(open).toHaveBeenCalledWith(expect.objectContaining({ id: 'old' }));
    expect(screen.queryByText('Show more')).toBeNull();
  });

  it('says so where MLflow does not count', () => {
    const fold = { ...lineage().folds[0], without_version: true };
    expect(foldText({ ...fold, at_least: true }, trans)).toBe(
      'At least 37 runs without a version'
    );
    expect(foldText({ ...fold, count: 1 }, trans)).toBe(
      '1 run without a version'
    );
  });

  it('has the same as a nested list', () => {
    fireEvent.click(screen.getByRole('button', { name: 'As a list' }));
    expect(screen.queryByText('Made from')).toBeNull();
    const top = screen.getByText('Stands on it').nextElementSibling!;
    const items = within(top as HTMLElement).getAllByRole('listitem');
    expect(items).toHaveLength(6);
    expect(items[0].textContent).toContain('training');
    const deployed = within(items[0]).getByRole('button', {
      name: 'Deployment prod'
    });
    fireEvent.click(deployed);
    expect(open).toHaveBeenCalledWith(expect.objectContaining({ id: 'prod' }));
  });
});

describe('the words of a lineage', () => {
  it('name objects and their two facts', () => {
    const run = node('run:1', 'run', 1, {
      name: '',
      run_id: 'abcdef0123456789',
      status: 'FAILED',
      commit: '9f8e7d6c5b4a',
      dirty: true,
      source: '/home/ada/train.ipynb'
    });
    expect(nameOf(run, trans)).toBe('abcdef01');
    expect(shortFacts(run, trans)).toEqual(['failed', '9f8e7d6c with changes']);
    expect(shortFacts({ ...run, status: 'FINISHED' }, trans)[1]).toBe(
      'train.ipynb'
    );
    expect(
      shortFacts(node('x', 'deployment', 4, { owner: 'bob', state: '' }), trans)
    ).toEqual(['of bob']);
  });

  it('open runs, sections, and the lineage of the rest', () => {
    expect(target(node('r', 'run', 1, { run_id: 'abc' }))).toEqual([
      'genops:open-runs',
      { run_id: 'abc' }
    ]);
    expect(target(node('d', 'deployment', 4))[1]).toEqual({
      section: 'deployments'
    });
    for (const part of [{ deleted: true }, { owner: 'bob' }]) {
      expect(target(node('gone', 'run', 1, part))[1]).toEqual({ of: 'gone' });
    }
    expect(target(node('data:d@1', 'data', 0))).toEqual([
      'genops:open-lineage',
      { of: 'data:d@1' }
    ]);
  });
});
