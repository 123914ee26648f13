import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import { ticks } from 'd3-array';
import * as React from 'react';

import { ActionButton, StatusBadge } from '../../../core';
import { formatMoney } from '../../../core/money';
import {
  kindColor,
  kindWord,
  statusWord,
  tokenTotal,
  tokenWords
} from '../messages';
import type { ISpan } from '../service';
import type { ISpanRow } from '../span-tree';
import { parentsIn, rowsOf, spansAbove } from '../span-tree';
import type { ITimeRange } from '../time-range';
import { around, barOf, formatSpanTime, panned, zoomed } from '../time-range';

const ROW_PX = 26;
/** Rows that are drawn above and below the visible ones. */
const MARGIN_ROWS = 8;
const INDENT_PX = 14;
/** Deeper rows are not moved further, so that their names stay in sight. */
const DEEPEST = 12;
const TICKS = 4;
/** Room that the text of a tick needs. */
const TICK_PX = 64;
/** The last place of a tick, as a share of the axis. */
const LAST_TICK = 0.85;
const CLOSER = 0.5;
const STEP = 0.25;

/**
 * The spans of a trace as a tree and on one axis of time. Only visible rows are in the page.
 *
 * Keys: arrows move and fold as in a tree, + - 0 zoom, Z zooms to the span, < > move the time, Enter goes to the detail.
 */
export function Waterfall(props: Waterfall.IProps): React.ReactElement {
  const { spans, duration, selected, onSelect, trans } = props;
  const id = React.useId();
  const scroller = React.useRef<HTMLDivElement>(null);
  const [closed, setClosed] = React.useState<ReadonlySet<string>>(new Set());
  const [seen, setSeen] = React.useState<[number, number]>([0, 40]);
  const axis = React.useRef<HTMLSpanElement>(null);
  const [most, setMost] = React.useState(TICKS);
  const whole = React.useMemo(
    () => ({ from: 0, to: Math.max(duration, 1e-6) }),
    [duration]
  );
  const [range, setRange] = React.useState<ITimeRange>(whole);
  React.useEffect(() => setRange(whole), [whole]);
  const rows = React.useMemo(() => rowsOf(spans, closed), [spans, closed]);
  const parents = React.useMemo(() => parentsIn(spans), [spans]);
  const at = React.useMemo(
    () => rows.findIndex(({ span }) => span.span_id === selected),
    [rows, selected]
  );

  const look = React.useCallback(() => {
    const node = scroller.current;
    if (node) {
      const first = Math.floor(node.scrollTop / ROW_PX);
      const count = Math.ceil(node.clientHeight / ROW_PX);
      setSeen(old =>
        old[0] === first && old[1] === count ? old : [first, count]
      );
    }
    const width = axis.current?.clientWidth;
    if (width) {
      setMost(Math.max(1, Math.min(TICKS, Math.floor(width / TICK_PX))));
    }
  }, []);
  React.useEffect(() => {
    const node = scroller.current;
    if (!node) {
      return;
    }
    const observer = new ResizeObserver(look);
    observer.observe(node);
    return () => observer.disconnect();
  }, [look]);
  // The wheel's listener of React is passive: it cannot keep the page from zooming.
  const zoomAt = React.useRef((_: WheelEvent) => undefined as void);
  zoomAt.current = event => {
    const track = scroller.current?.querySelector('.gol-Waterfall-track');
    if (!event.ctrlKey || !track) {
      return;
    }
    event.preventDefault();
    const { left, width } = track.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    const time = range.from + share * (range.to - range.from);
    setRange(
      zoomed(range, whole, time, event.deltaY < 0 ? CLOSER : 1 / CLOSER)
    );
  };
  React.useEffect(() => {
    const node = scroller.current;
    const onWheel = (event: WheelEvent) => zoomAt.current(event);
    node?.addEventListener('wheel', onWheel, { passive: false });
    return () => node?.removeEventListener('wheel', onWheel);
  }, []);
  /** A span that another view chose may be in a closed part, or out of sight. */
  React.useEffect(() => {
    if (selected && at < 0) {
      const above = new Set(spansAbove(spans, selected));
      if (above.size > 0) {
        setClosed(old => new Set([...old].filter(each => !above.has(each))));
      }
      return;
    }
    const node = scroller.current;
    if (node && at >= 0) {
      const top = at * ROW_PX;
      if (top < node.scrollTop) {
        node.scrollTop = top;
      } else if (top + ROW_PX > node.scrollTop + node.clientHeight) {
        node.scrollTop = top + ROW_PX - node.clientHeight;
      }
    }
  }, [selected, at, spans]);

  const close = (next: ReadonlySet<string>) => {
    setClosed(next);
    // A chosen span that is folded away gives its place to the outermost closed one above it.
    const above = selected ? spansAbove(spans, selected) : [];
    const outermost = above.filter(each => next.has(each)).pop();
    if (outermost) {
      onSelect(outermost);
    }
  };
  const fold = ({ span }: ISpanRow<ISpan>, open: boolean) => {
    const next = new Set(closed);
    if (open) {
      next.delete(span.span_id);
      setClosed(next);
    } else {
      close(next.add(span.span_id));
    }
  };
  const middle = (range.from + range.to) / 2;
  const zoom = (factor: number) =>
    setRange(zoomed(range, whole, middle, factor));
  const zoomTo = ({ start, duration: length }: ISpan) =>
    setRange(around(start, start + (length ?? duration - start), whole));

  const onKeyDown = (event: React.KeyboardEvent) => {
    const row = rows[at] as ISpanRow<ISpan> | undefined;
    const page = Math.max(1, seen[1] - 1);
    const go = (to: number) =>
      onSelect(rows[Math.max(0, Math.min(rows.length - 1, to))].span.span_id);
    if (event.ctrlKey || event.metaKey || event.altKey || rows.length === 0) {
      return;
    }
    switch (event.key) {
      case 'ArrowDown':
        go(at + 1);
        break;
      case 'ArrowUp':
        go(at < 0 ? 0 : at - 1);
        break;
      case 'PageDown':
        go(at + page);
        break;
      case 'PageUp':
        go(at - page);
        break;
      case 'Home':
        go(0);
        break;
      case 'End':
        go(rows.length - 1);
        break;
      case 'ArrowRight':
        if (row && row.folds) {
          if (row.open) {
            go(at + 1);
          } else {
            fold(row, true);
          }
        }
        break;
      case 'ArrowLeft':
        if (row?.open) {
          fold(row, false);
        } else if (row && row.parent >= 0) {
          go(row.parent);
        }
        break;
      case '*':
        setClosed(new Set());
        break;
      case '+':
      case '=':
        zoom(CLOSER);
        break;
      case '-':
        zoom(1 / CLOSER);
        break;
      case '0':
        setRange(whole);
        break;
      case '<':
        setRange(panned(range, whole, -STEP));
        break;
      case '>':
        setRange(panned(range, whole, STEP));
        break;
      case 'z':
        if (row) {
          zoomTo(row.span);
        }
        break;
      case 'Enter':
        props.onEnter?.();
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const first = Math.max(0, seen[0] - MARGIN_ROWS);
  const last = Math.min(rows.length, seen[0] + seen[1] + MARGIN_ROWS);
  // The chosen row stays in the page: the tree names it as its active one.
  const drawn = rows
    .map((row, index) => ({ row, index }))
    .slice(first, last)
    .concat(
      at >= 0 && (at < first || at >= last)
        ? [{ row: rows[at], index: at }]
        : []
    );
  const isWhole = range.from === whole.from && range.to === whole.to;
  return (
    <div className="gol-Waterfall">
      <div className="gol-Waterfall-head">
        <span className="gol-Waterfall-tools">
          <span>
            {trans._n(
              '%2 span',
              '%2 spans',
              spans.length,
              spans.length.toLocaleString()
            )}
          </span>
          {parents.length > 0 && (
            <ActionButton
              label={
                closed.size > 0 ? trans.__('Open all') : trans.__('Close all')
              }
              onClick={() =>
                closed.size > 0 ? setClosed(new Set()) : close(new Set(parents))
              }
            />
          )}
        </span>
        <span className="gol-Waterfall-axis" ref={axis}>
          {axisOf(range, most).map(({ time, left }) => (
            <span key={time} style={{ left: `${left * 100}%` }}>
              {formatSpanTime(time)}
            </span>
          ))}
        </span>
        <span className="gol-Waterfall-zoom">
          <ActionButton
            label="−"
            caption={trans.__('Show more time (-, or Ctrl and the wheel)')}
            disabled={isWhole}
            onClick={() => zoom(1 / CLOSER)}
          />
          <ActionButton
            label="+"
            caption={trans.__('Show less time (+, or Ctrl and the wheel)')}
            onClick={() => zoom(CLOSER)}
          />
          <ActionButton
            label={trans.__('Fit')}
            caption={trans.__('Show the whole trace (0)')}
            disabled={isWhole}
            onClick={() => setRange(whole)}
          />
        </span>
      </div>
      <div
        ref={scroller}
        className="gol-Waterfall-rows"
        role="treegrid"
        aria-label={trans.__('Spans')}
        aria-rowcount={rows.length}
        aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onScroll={look}
        onFocus={() => {
          if (at < 0 && rows.length > 0) {
            onSelect(rows[0].span.span_id);
          }
        }}
      >
        <div
          role="presentation"
          style={{ height: rows.length * ROW_PX, position: 'relative' }}
        >
          {drawn.map(({ row, index }) => (
            <SpanRow
              key={row.span.span_id}
              id={`${id}-${index}`}
              row={row}
              index={index}
              range={range}
              end={whole.to}
              selected={index === at}
              onSelect={onSelect}
              onFold={fold}
              onZoom={zoomTo}
              trans={trans}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

export namespace Waterfall {
  export interface IProps {
    spans: readonly ISpan[];
    /** Of the whole trace, in seconds. */
    duration: number;
    selected: string | null;
    onSelect: (id: string) => void;
    /** Go to the detail of the chosen span. */
    onEnter?: () => void;
    trans: TranslationBundle;
  }
}

/** The times on the axis, about `most`; one whose text would be cut at the end is left out. */
function axisOf(
  range: ITimeRange,
  most: number
): { time: number; left: number }[] {
  const length = range.to - range.from;
  return ticks(range.from, range.to, most)
    .map(time => ({ time, left: (time - range.from) / length }))
    .filter(({ left }) => left <= LAST_TICK);
}

function SpanRow(props: {
  id: string;
  row: ISpanRow<ISpan>;
  index: number;
  range: ITimeRange;
  /** The end of the trace, for spans without one. */
  end: number;
  selected: boolean;
  onSelect: (id: string) => void;
  onFold: (row: ISpanRow<ISpan>, open: boolean) => void;
  onZoom: (span: ISpan) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { id, row, index, range, end, selected, trans } = props;
  const { span, folds, open } = row;
  const { depth } = span;
  const Caret = open ? caretDownIcon : caretRightIcon;
  const status = statusWord(span.status, trans);
  const failed = span.status === 'error';
  const length = span.duration ?? null;
  const time = length === null ? trans.__('not ended') : formatSpanTime(length);
  const bar = barOf(
    span.start,
    length === null ? end : span.start + length,
    range
  );
  const tokens = tokenTotal(span.tokens);
  return (
    <div
      id={id}
      className={`gol-Waterfall-row ${selected ? 'gol-mod-selected' : ''} ${failed ? 'gol-mod-error' : ''}`}
      role="row"
      aria-rowindex={index + 1}
      aria-level={depth + 1}
      aria-posinset={row.position}
      aria-setsize={row.siblings}
      aria-expanded={folds ? open : undefined}
      aria-selected={selected}
      style={{ top: index * ROW_PX, height: ROW_PX }}
      onClick={() => props.onSelect(span.span_id)}
      onDoubleClick={() => props.onZoom(span)}
    >
      <span
        className="gol-Waterfall-name"
        role="gridcell"
        style={{ paddingInlineStart: Math.min(depth, DEEPEST) * INDENT_PX }}
      >
        {folds ? (
          <span
            className="gol-Waterfall-caret"
            aria-hidden="true"
            onClick={event => {
              event.stopPropagation();
              props.onFold(row, !open);
            }}
          >
            <Caret.react tag="span" className="gol-Icon" />
          </span>
        ) : (
          <span className="gol-Waterfall-caret" />
        )}
        {(failed || span.status === 'running') && (
          <StatusBadge
            tone={status.tone}
            caption={status.label}
            label={<span className="gol-VisuallyHidden">{status.label}</span>}
          />
        )}
        <span className="gol-Waterfall-text" title={span.name}>
          {span.name || trans.__('(no name)')}
        </span>
        <span className="gol-Waterfall-kind">{kindWord(span.kind, trans)}</span>
      </span>
      <span className="gol-Waterfall-track" role="gridcell">
        {bar && (
          <span
            className={`gol-Waterfall-bar ${length === null ? 'gol-mod-open' : ''}`}
            title={trans.__('%1 from %2 on', time, formatSpanTime(span.start))}
            style={{
              left: `${bar.left * 100}%`,
              width: `max(2px, ${bar.width * 100}%)`,
              background: failed ? undefined : kindColor(span.kind)
            }}
          />
        )}
        <span className="gol-VisuallyHidden">
          {trans.__('begins at %1', formatSpanTime(span.start))}
        </span>
      </span>
      <span className="gol-Waterfall-figure" role="gridcell">
        {span.tokens && tokens !== null && (
          <span title={tokenWords(span.tokens, trans)}>
            {tokens.toLocaleString()}
          </span>
        )}
      </span>
      <span className="gol-Waterfall-figure" role="gridcell">
        {typeof span.cost === 'number' && (
          <span title={trans.__('Cost of this call in US dollars')}>
            {formatMoney(span.cost)}
          </span>
        )}
      </span>
      <span className="gol-Waterfall-figure" role="gridcell">
        {time}
      </span>
    </div>
  );
}
