import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import {
  Callout,
  FollowingView,
  formatBytes,
  useRevision
} from '../../../core';

import { AnsiReader } from './ansi';
import type { FullOutputModel } from './model';
import { SearchBar } from './search-bar';

/**
 * Browsers allow some ten million pixels: a longer text scrolls in larger
 * steps.
 */
const MAX_SCROLL_PX = 5_000_000;

/** Everything that a cell printed, in the main area. */
export class FullOutputView extends FollowingView<FullOutputModel> {
  constructor(
    model: FullOutputModel,
    private _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('gol-FullOutput');
  }

  protected override onActivateRequest(msg: Message): void {
    this.node.querySelector<HTMLElement>('.gol-FullOutput-lines')?.focus();
    super.onActivateRequest(msg);
  }

  protected override render(): React.ReactElement {
    return <FullOutput model={this.model} trans={this._trans} />;
  }
}

/** The lines of a full output; only visible ones are in the page. */
export function FullOutput(props: FullOutput.IProps): React.ReactElement {
  const { model, trans } = props;
  useRevision(model.changed);
  const body = React.useRef<HTMLDivElement>(null);
  const bar = React.useRef<HTMLDivElement>(null);
  const lines = React.useRef<HTMLDivElement>(null);
  const [linePx, rows] = useRows(lines);
  const [wanted, setTop] = React.useState(0);
  const [found, setFound] = React.useState<number | null>(null);
  const [follows, setFollows] = React.useState(false);

  const lastTop = Math.max(0, model.total - rows);
  const top = follows ? lastTop : Math.min(wanted, lastTop);
  const go = React.useCallback(
    (line: number) => {
      const next = Math.max(0, Math.min(Math.round(line), lastTop));
      setTop(next);
      setFollows(model.running && next === lastTop && lastTop > 0);
    },
    [lastTop, model.running]
  );
  const show = (line: number) => {
    setFound(line);
    go(line - Math.floor(rows / 3));
  };

  React.useEffect(() => {
    model.want(top, rows + 1);
  }, [model, model.revision, top, rows]);

  // The scroll bar follows the lines, and the lines follow the scroll bar when
  // a user moves it.
  const height = Math.min(model.total * linePx, MAX_SCROLL_PX);
  const placed = React.useRef(0);
  React.useLayoutEffect(() => {
    const node = bar.current;
    if (node) {
      const room = node.scrollHeight - node.clientHeight;
      node.scrollTop = lastTop > 0 ? (top / lastTop) * room : 0;
      placed.current = node.scrollTop;
    }
  }, [top, lastTop, height]);
  useWheel(body, lines => go(top + lines), linePx);

  const onKeyDown = (event: React.KeyboardEvent) => {
    const target: Record<string, number> = {
      ArrowUp: top - 1,
      ArrowDown: top + 1,
      PageUp: top - rows + 1,
      PageDown: top + rows - 1,
      Home: 0,
      End: lastTop
    };
    if (event.key in target && !event.altKey && !event.metaKey) {
      event.preventDefault();
      go(target[event.key]);
    }
  };

  const shown = Array.from(
    { length: Math.max(0, Math.min(rows + 1, model.total - top)) },
    (_, i) => top + i
  );
  const ansi = new AnsiReader();
  return (
    <>
      <div className="gol-FullOutput-head">
        <span className="gol-FullOutput-size" role="status">
          {model.loaded
            ? trans.__(
                '%1 lines, %2',
                model.total.toLocaleString(),
                formatBytes(model.bytes)
              )
            : trans.__('Loading…')}
          {model.running && ` · ${trans.__('still running')}`}
        </span>
        <SearchBar
          trans={trans}
          onFind={async text => {
            const line = await model.find(
              text,
              found === null ? top : found + 1
            );
            if (line !== null) {
              show(line);
            }
            return line !== null;
          }}
          onLine={line => show(Math.max(0, Math.min(line, model.total) - 1))}
        />
        <a
          className="gol-FullOutput-download"
          href={model.downloadUrl}
          download="output.txt"
        >
          {trans.__('Download')}
        </a>
      </div>
      {model.error && (
        <Callout tone="error" title={model.error.message}>
          {model.error.hint}
        </Callout>
      )}
      {!model.complete && (
        <Callout tone="warning" title={trans.__('The end is missing.')}>
          {trans.__('GenOps Lab keeps 2 GiB of text per cell.')}
        </Callout>
      )}
      <div className="gol-FullOutput-body" ref={body}>
        <div
          ref={lines}
          className="gol-FullOutput-lines jp-RenderedText"
          role="region"
          aria-label={trans.__(
            'Lines %1 to %2 of %3',
            (top + 1).toLocaleString(),
            (top + shown.length).toLocaleString(),
            model.total.toLocaleString()
          )}
          tabIndex={0}
          onKeyDown={onKeyDown}
        >
          {shown.map(number => (
            <div
              key={number}
              className={`gol-FullOutput-line ${number === found ? 'gol-mod-found' : ''}`}
            >
              <span className="gol-FullOutput-number" aria-hidden="true">
                {(number + 1).toLocaleString()}
              </span>
              <pre>
                {model.line(number) === undefined
                  ? '…'
                  : ansi.read(model.line(number)!).map((span, i) => (
                      <span
                        key={i}
                        className={span.className}
                        style={span.style}
                      >
                        {span.text}
                      </span>
                    ))}
              </pre>
            </div>
          ))}
        </div>
        <div
          className="gol-FullOutput-scroll"
          ref={bar}
          tabIndex={-1}
          aria-hidden="true"
          onScroll={({ currentTarget: node }) => {
            const room = node.scrollHeight - node.clientHeight;
            if (room > 0 && Math.abs(node.scrollTop - placed.current) > 1) {
              placed.current = node.scrollTop;
              go((node.scrollTop / room) * lastTop);
            }
          }}
        >
          <div style={{ height: `${height}px` }} />
        </div>
      </div>
    </>
  );
}

export namespace FullOutput {
  export interface IProps {
    model: FullOutputModel;
    trans: TranslationBundle;
  }
}

/** A line's height, and the number of visible lines. */
function useRows(lines: React.RefObject<HTMLDivElement>): [number, number] {
  const [size, setSize] = React.useState<[number, number]>([17, 1]);
  React.useLayoutEffect(() => {
    const node = lines.current;
    if (!node) {
      return;
    }
    const measure = () => {
      const line = parseFloat(getComputedStyle(node).lineHeight) || 17;
      setSize([line, Math.max(1, Math.floor(node.clientHeight / line))]);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  return size;
}

function useWheel(
  body: React.RefObject<HTMLDivElement>,
  onLines: (lines: number) => void,
  linePx: number
): void {
  const latest = React.useRef(onLines);
  latest.current = onLines;
  const rest = React.useRef(0);
  React.useEffect(() => {
    const node = body.current;
    const onWheel = (event: WheelEvent) => {
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.ctrlKey) {
        return; // sideways, or zooming
      }
      event.preventDefault();
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? linePx : 1;
      rest.current += event.deltaY / unit;
      const lines = Math.trunc(rest.current);
      rest.current -= lines;
      if (lines !== 0) {
        latest.current(lines);
      }
    };
    // React's own listener is passive: it could not keep the page from
    // scrolling.
    node?.addEventListener('wheel', onWheel, { passive: false });
    return () => node?.removeEventListener('wheel', onWheel);
  }, [linePx]);
}
