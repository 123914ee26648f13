import { nullTranslator } from '@jupyterlab/translation';
import { fireEvent, render, screen } from '@testing-library/react';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { ApiError } from '../../../core';
import { LiveTail } from '../live-tail';
import { tokenTotal } from '../messages';
import { isShown } from '../pictures';
import type { ISpanContent, IText } from '../service';
import { TracesService } from '../service';
import { firstColumns } from '../subject';
import { Contents } from '../view/span-detail';
import { wordDiff } from '../word-diff';

const trans = nullTranslator.load('genops_lab');

function text(said: string, more: Partial<IText> = {}): IText {
  return {
    text: said,
    characters: said.length,
    is_cut: false,
    is_json: false,
    ...more
  };
}

function content(part: Partial<ISpanContent>): ISpanContent {
  return {
    trace_id: 'tr-1',
    span_id: '1',
    inputs: null,
    outputs: null,
    turns: [],
    documents: [],
    attributes: [],
    events: [],
    ...part
  };
}

describe('what a span was asked and answered', () => {
  it('is shown as text: markup stays what it is, and no picture from elsewhere is loaded', () => {
    const turn = {
      role: 'user',
      text: text('<img src=x onerror=alert(1)>'),
      is_answer: false,
      call_id: '',
      tool_calls: [],
      pictures: [
        { url: 'https://example.org/pixel.png', note: 'It is elsewhere.' },
        { url: 'data:image/svg+xml;base64,PHN2Zz4=', note: '' },
        { url: 'data:image/png;base64,AAAA', note: '' }
      ]
    };
    const { container } = render(
      <Contents
        content={content({ turns: [turn] })}
        onMore={() => undefined}
        trans={trans}
      />
    );
    expect(container.textContent).toContain('<img src=x onerror=alert(1)>');
    expect(container.textContent).toContain('It is elsewhere.');
    const pictures = [...container.querySelectorAll('img')];
    expect(pictures.map(({ src }) => src)).toEqual([
      'data:image/png;base64,AAAA'
    ]);
  });

  it('is fetched whole on demand', () => {
    const onMore = jest.fn();
    const cut = text('abc', { characters: 1_000_000, is_cut: true });
    render(
      <Contents
        content={content({ outputs: cut })}
        onMore={onMore}
        trans={trans}
      />
    );
    fireEvent.click(screen.getByRole('button', { name: 'Show all' }));
    expect(onMore).toHaveBeenCalledTimes(1);
  });

  it('says so where nothing was kept', () => {
    render(
      <Contents content={content({})} onMore={() => undefined} trans={trans} />
    );
    screen.getByText('This span kept no inputs and outputs.');
  });
});

it('refuses pictures that can hold a script, that are elsewhere or too long', () => {
  expect(isShown('data:image/webp;base64,AAAA')).toBe(true);
  for (const url of [
    'data:image/svg+xml;base64,AAAA',
    'data:text/html;base64,AAAA',
    'javascript:alert(1)',
    'https://example.org/x.png',
    `data:image/png;base64,${'A'.repeat(3_000_000)}`
  ]) {
    expect(isShown(url)).toBe(false);
  }
});

describe('the words in which texts differ', () => {
  it('are marked on both sides, and all others stand on both', () => {
    const [before, after] = wordDiff('It takes 5 days.', 'It takes two days.');
    expect(before.filter(({ changed }) => changed)).toEqual([
      { text: '5', changed: true }
    ]);
    expect(after.map(each => each.text).join('')).toBe('It takes two days.');
  });

  it('become lines in long texts', () => {
    const lines = Array.from({ length: 3000 }, (_, at) => `line ${at}`);
    const [, after] = wordDiff(
      lines.join('\n'),
      [...lines.slice(0, 10), 'new', ...lines.slice(10)].join('\n')
    );
    expect(after.filter(({ changed }) => changed)).toEqual([
      { text: 'new\n', changed: true }
    ]);
  });
});

describe('the live tail', () => {
  function made() {
    const traces = new Signal<object, void>({});
    const resync = new Signal<object, void>({});
    const refresh = jest.fn();
    const events = { changed: () => traces, resync };
    const tail = new LiveTail(events as never, refresh);
    return { tail, refresh, land: () => traces.emit() };
  }

  it('fetches rows when traces land', () => {
    const { refresh, land } = made();
    land();
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  it('leaves the rows while it is off, says that there are new ones, and catches up', () => {
    const { tail, refresh, land } = made();
    tail.isLive = false;
    land();
    expect(refresh).not.toHaveBeenCalled();
    expect(tail.isBehind).toBe(true);
    tail.isLive = true;
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(tail.isBehind).toBe(false);
  });
});

it('shows the table without requests and answers where an operator forbids them', async () => {
  const asked: string[] = [];
  const api = {
    http: {
      POST: (path: string) => {
        asked.push(path);
        return path;
      }
    },
    data: (path: string) =>
      path.startsWith('/trace-content')
        ? Promise.reject(
            new ApiError({ status: 403, code: 'forbidden', message: 'No.' })
          )
        : Promise.resolve({ run_ids: [] })
  };
  const service = new TracesService(api as never);
  const question = {
    experiments: [],
    query: '',
    sort: [],
    lifecycle: 'all' as const,
    columns: []
  };
  await service.window(question, 0, 100);
  await service.window(question, 0, 100);
  expect(asked).toEqual([
    '/trace-content/query',
    '/traces/query',
    '/traces/query'
  ]);
});

it('shows sessions, tokens, cost and assessments where traces have them', () => {
  const known = (columns: Record<string, number>) =>
    Object.entries(columns).map(([column, runs]) => ({
      column,
      kind: 'text' as const,
      runs
    }));
  const names = (columns: Record<string, number>) =>
    firstColumns(known(columns)).map(({ name }) => name);
  expect(names({ tokens: 0 })).toEqual([
    'name',
    'start_time',
    'request',
    'response',
    'duration'
  ]);
  expect(
    names({ session: 3, cost: 1, 'metrics.rare': 1, 'metrics.correct': 9 })
  ).toEqual([
    'name',
    'start_time',
    'request',
    'response',
    'duration',
    'session',
    'cost',
    'metrics.correct',
    'metrics.rare'
  ]);
});

it('keeps unknown apart from zero', () => {
  const unknown = { input: null, output: null, cached_input: null };
  expect(tokenTotal({ ...unknown, reasoning: null })).toBeNull();
  expect(tokenTotal({ ...unknown, input: 3, reasoning: null })).toBe(3);
  expect(tokenTotal(null)).toBeNull();
});
