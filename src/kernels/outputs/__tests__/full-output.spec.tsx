import { RenderMimeRegistry } from '@jupyterlab/rendermime';
import { MimeModel } from '@jupyterlab/rendermime';
import { nullTranslator } from '@jupyterlab/translation';
import {
  act,
  fireEvent,
  render,
  screen,
  waitFor
} from '@testing-library/react';
import * as React from 'react';

import { MIME, excerptRenderer } from '../excerpt';
import { AnsiReader } from '../full/ansi';
import { FullOutputModel, PART_LINES } from '../full/model';
import { FullOutput } from '../full/view';

const trans = nullTranslator.load('genops_lab');
const TOTAL = 1_234_567;

function service(given: { running?: boolean } = {}) {
  const asked: number[] = [];
  return {
    asked,
    total: TOTAL,
    running: given.running ?? false,
    text(_k: string, _m: string, first: number, limit: number) {
      asked.push(first);
      const count = Math.max(0, Math.min(limit, this.total - first));
      return Promise.resolve({
        first,
        lines: Array.from({ length: count }, (_, i) => `line ${first + i}`),
        total: this.total,
        bytes: 5_000_000,
        running: this.running,
        complete: true
      });
    },
    findText: (_k: string, _m: string, text: string) =>
      Promise.resolve(text === 'nowhere' ? null : 777_777),
    downloadUrl: () => '/genops/outputs/k/m/download'
  };
}

async function shown(from = service()) {
  const model = new FullOutputModel({
    service: from,
    kernelId: 'k',
    msgId: 'm',
    trans
  });
  render(<FullOutput model={model} trans={trans} />);
  await act(() => model.refresh());
  return { model, from };
}

describe('the full output', () => {
  beforeAll(() => {
    window.ResizeObserver = class {
      observe(): void {
        // jsdom has no layout: one row
      }
      unobserve(): void {
        // as above
      }
      disconnect(): void {
        // as above
      }
    };
  });

  it('fetches what is looked at, and no more', async () => {
    const { from, model } = await shown();
    expect(screen.getByText('line 0')).toBeTruthy();
    expect(
      screen.getByText(`${TOTAL.toLocaleString()} lines, 4.8 MiB`)
    ).toBeTruthy();
    expect(new Set(from.asked)).toEqual(new Set([0]));
    fireEvent.change(screen.getByRole('textbox', { name: 'Go to line' }), {
      target: { value: '1000001' }
    });
    fireEvent.submit(screen.getByRole('textbox', { name: 'Go to line' }));
    await waitFor(() => screen.getByText('line 1000000'));
    expect(from.asked.slice(1)).toEqual(
      from.asked.slice(1).map(() => 1000000 - (1000000 % PART_LINES))
    );
    model.dispose();
  });

  it('is used with keys', async () => {
    const { model } = await shown();
    const lines = screen.getByRole('region');
    fireEvent.keyDown(lines, { key: 'End' });
    await waitFor(() => screen.getByText(`line ${TOTAL - 1}`));
    fireEvent.keyDown(lines, { key: 'ArrowUp' });
    await waitFor(() => screen.getByText(`line ${TOTAL - 2}`));
    fireEvent.keyDown(lines, { key: 'Home' });
    await waitFor(() => screen.getByText('line 0'));
    model.dispose();
  });

  it('finds text, and says when there is none', async () => {
    const { model } = await shown();
    const field = screen.getByRole('searchbox');
    fireEvent.change(field, { target: { value: 'something' } });
    fireEvent.submit(field);
    await waitFor(() => screen.getByText('line 777777'));
    fireEvent.change(field, { target: { value: 'nowhere' } });
    fireEvent.submit(field);
    await waitFor(() => screen.getByText('Not found'));
    model.dispose();
  });

  it('stays at the end of a cell that runs', async () => {
    const { from, model } = await shown(service({ running: true }));
    fireEvent.keyDown(screen.getByRole('region'), { key: 'End' });
    await waitFor(() => screen.getByText(`line ${TOTAL - 1}`));
    from.total += 10_000;
    await act(() => model.refresh());
    await waitFor(() => screen.getByText(`line ${TOTAL + 9_999}`));
    model.dispose();
  });

  it('asks again only while somebody looks', async () => {
    jest.useFakeTimers();
    try {
      const from = service({ running: true });
      const model = new FullOutputModel({
        service: from,
        kernelId: 'k',
        msgId: 'm',
        trans
      });
      model.visible = true;
      await jest.advanceTimersByTimeAsync(5000);
      const asked = from.asked.length;
      expect(asked).toBeGreaterThan(1);
      model.visible = false;
      await jest.advanceTimersByTimeAsync(60_000);
      expect(from.asked.length).toBe(asked);
      model.dispose();
    } finally {
      jest.useRealTimers();
    }
  });

  it('says why it cannot be shown', async () => {
    const from = service();
    from.text = () => Promise.reject(new Error('It is not kept any more.'));
    await shown(from);
    expect(screen.getByText(/not kept any more/)).toBeTruthy();
  });
});

describe('colours', () => {
  const read = (...lines: string[]) => {
    const reader = new AnsiReader();
    return lines.map(line =>
      reader
        .read(line)
        .map(({ text, className, style }) => [
          text,
          className || style?.color || style?.backgroundColor || ''
        ])
    );
  };

  it('last until they are changed', () => {
    expect(read('a\x1b[1;31mb', 'c\x1b[0md')).toEqual([
      [
        ['a', ''],
        ['b', 'ansi-bold ansi-red-fg']
      ],
      [
        ['c', 'ansi-bold ansi-red-fg'],
        ['d', '']
      ]
    ]);
  });

  it.each([
    ['\x1b[92mx', 'ansi-green-intense-fg'],
    ['\x1b[44mx', 'ansi-blue-bg'],
    ['\x1b[38;5;9mx', 'ansi-red-intense-fg'],
    ['\x1b[38;5;196mx', 'rgb(255, 0, 0)'],
    ['\x1b[38;2;1;2;3mx', 'rgb(1, 2, 3)'],
    ['\x1b[48;5;240mx', 'rgb(88, 88, 88)'],
    ['\x1b[7mx', 'ansi-default-inverse-fg ansi-default-inverse-bg'],
    ['\x1b[2K\x1b[?25l\x1b]0;title\x07x', '']
  ])('%j', (text, look) => {
    expect(read(text)).toEqual([[['x', look]]]);
  });
});

describe('the excerpt', () => {
  const excerpt = {
    kernel_id: 'k',
    msg_id: 'm',
    running: true,
    lines: 1_234_567,
    bytes: 100_000_000,
    displays: 0,
    tail: '\x1b[32mlast\x1b[0m <b>'
  };

  it('replaces its end, and leads to the whole', async () => {
    const opened: string[] = [];
    const registry = new RenderMimeRegistry();
    registry.addFactory(
      excerptRenderer(trans, (...ids) => opened.push(...ids))
    );
    const data = { 'text/plain': 'text', [MIME]: excerpt };
    expect(registry.preferredMimeType(data, 'ensure')).toBe(MIME);
    const widget = registry.createRenderer(MIME);
    await widget.renderModel(new MimeModel({ data }));
    expect(widget.node.textContent).toContain(
      `${(1_234_567).toLocaleString()} lines, 95.4 MiB not shown so far`
    );
    await widget.renderModel(new MimeModel({ data }));
    expect(widget.node.querySelector('pre')?.textContent).toBe('last <b>\n');
    expect(widget.node.querySelectorAll('pre')).toHaveLength(1);
    widget.node.querySelector('button')?.click();
    expect(opened).toEqual(['k', 'm']);
    await widget.renderModel(
      new MimeModel({
        data: { [MIME]: { ...excerpt, running: false, tail: '' } }
      })
    );
    expect(widget.node.textContent).toContain('not shown here');
    expect(
      widget.node.querySelector<HTMLElement>('.gol-Excerpt-tail')?.hidden
    ).toBe(true);
    widget.dispose();
  });
});
