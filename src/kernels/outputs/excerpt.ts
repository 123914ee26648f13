import type { Cell } from '@jupyterlab/cells';
import { isCodeCellModel } from '@jupyterlab/cells';
import type { IRenderMime } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { formatBytes } from '../../core';

/**
 * The display in place of the part that a cell does not show; the server's
 * `outputs/output_limits.py` makes it.
 */
export const MIME = 'application/vnd.genops.output-excerpt+json';

export interface IExcerpt {
  kernel_id: string;
  msg_id: string;
  running: boolean;
  lines: number;
  bytes: number;
  displays: number;
  tail: string;
}

/** The excerpt in a display's data, or null. */
export function excerptOf(data: unknown): IExcerpt | null {
  const found = (data as Record<string, unknown> | undefined)?.[MIME];
  return found && typeof found === 'object' ? (found as IExcerpt) : null;
}

/** What a cell does not show; null where it shows all. */
export function excerptOfCell(cell: Cell | null): IExcerpt | null {
  const model = cell?.model;
  if (!model || !isCodeCellModel(model)) {
    return null;
  }
  for (let index = 0; index < model.outputs.length; index++) {
    const excerpt = excerptOf(model.outputs.get(index).data);
    if (excerpt) {
      return excerpt;
    }
  }
  return null;
}

/**
 * Draws the excerpt: how much is not shown, the end so far, and a button for
 * the full output.
 */
export function excerptRenderer(
  trans: TranslationBundle,
  open: (kernelId: string, msgId: string) => void
): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [MIME],
    defaultRank: 40,
    createRenderer: () => new ExcerptWidget(trans, open)
  };
}

class ExcerptWidget extends Widget implements IRenderMime.IRenderer {
  constructor(
    private _trans: TranslationBundle,
    open: (kernelId: string, msgId: string) => void
  ) {
    super();
    this.addClass('gol-Excerpt');
    const bar = document.createElement('div');
    bar.className = 'gol-Excerpt-bar';
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'gol-Button jp-mod-styled jp-mod-minimal';
    button.textContent = _trans.__('Open full output');
    button.addEventListener('click', () => {
      if (this._excerpt) {
        open(this._excerpt.kernel_id, this._excerpt.msg_id);
      }
    });
    this._words.className = 'gol-Excerpt-words';
    this._tail.className = 'gol-Excerpt-tail jp-RenderedText';
    bar.append(this._words, button);
    this.node.append(bar, this._tail);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const excerpt = excerptOf(model.data);
    this._excerpt = excerpt;
    if (!excerpt) {
      return;
    }
    this._words.textContent = words(excerpt, this._trans);
    this.toggleClass('gol-mod-running', excerpt.running);
    this._tail.hidden = !excerpt.tail;
    const { AnsiReader } = await import('./full/ansi');
    if (this._excerpt !== excerpt) {
      return;
    }
    const ansi = new AnsiReader();
    const pre = document.createElement('pre');
    for (const line of excerpt.tail.split('\n')) {
      for (const { text, className, style } of ansi.read(line)) {
        const span = document.createElement('span');
        span.className = className;
        Object.assign(span.style, style);
        span.textContent = text;
        pre.append(span);
      }
      pre.append('\n');
    }
    this._tail.replaceChildren(pre);
  }

  private _excerpt: IExcerpt | null = null;
  private _words = document.createElement('span');
  private _tail = document.createElement('div');
}

function words(excerpt: IExcerpt, trans: TranslationBundle): string {
  const { lines, bytes, displays, running } = excerpt;
  if (!lines && !displays && !bytes) {
    return trans.__('This output is long.');
  }
  const what: string[] = [];
  if (lines) {
    what.push(trans._n('%2 line', '%2 lines', lines, lines.toLocaleString()));
  }
  if (displays) {
    what.push(
      trans._n('%2 display', '%2 displays', displays, displays.toLocaleString())
    );
  }
  what.push(formatBytes(bytes));
  return running
    ? trans.__('%1 not shown so far; the last lines:', what.join(', '))
    : trans.__('%1 not shown here.', what.join(', '));
}
