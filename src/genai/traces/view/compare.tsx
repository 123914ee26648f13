import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  DataTable,
  IconButton,
  Resource,
  ResourceView,
  StatusBadge
} from '../../../core';
import { formatMoney } from '../../../core/money';
import { kindWord, statusWord, tokenTotal } from '../messages';
import type {
  ISpan,
  ISpanContent,
  ISpanPair,
  ITrace,
  ITraceComparison,
  TracesService
} from '../service';
import { FIRST_CHARACTERS } from '../service';
import { formatSpanTime } from '../time-range';
import type { IDiffPart } from '../word-diff';
import { textsOf, wordDiff } from '../word-diff';

import { Pane } from './pane';

/** Pairs of spans in the page at once. */
const MOST_PAIRS = 500;
const INDENT_PX = 14;

/** Two traces side by side: their figures, their spans in pairs, and the words in which a pair differs. */
export function CompareTraces(props: CompareTraces.IProps): React.ReactElement {
  const { first, second, service, onClose, trans } = props;
  const resource = React.useMemo(
    () =>
      new Resource<ITraceComparison>({
        fetch: signal => service.compare(first, second, signal),
        trans
      }),
    [service, first, second, trans]
  );
  React.useEffect(() => {
    void resource.refresh();
    return () => resource.dispose();
  }, [resource]);
  return (
    <Pane
      label={trans.__('Comparison of two traces')}
      className="gol-TraceComparison"
      onClose={onClose}
    >
      <header className="gol-TracePane-line">
        <h2>{trans.__('Two traces')}</h2>
        <span className="gol-TracePane-close">
          <IconButton
            icon={closeIcon}
            label={trans.__('Close the comparison')}
            onClick={onClose}
          />
        </span>
      </header>
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The traces cannot be compared.')}
        empty={<></>}
      >
        {found => <Compared found={found} service={service} trans={trans} />}
      </ResourceView>
    </Pane>
  );
}

export namespace CompareTraces {
  export interface IProps {
    first: string;
    second: string;
    service: Pick<TracesService, 'compare' | 'content'>;
    onClose: () => void;
    trans: TranslationBundle;
  }
}

function Compared(props: {
  found: ITraceComparison;
  service: Pick<TracesService, 'content'>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { found, service, trans } = props;
  const { first, second, pairs } = found;
  const differing = pairs.find(pair => differs(pair)) ?? pairs[0];
  const [chosen, setChosen] = React.useState(
    differing ? keyOf(differing) : null
  );
  const pair = pairs.find(each => keyOf(each) === chosen);
  const none = trans.__('none');
  const side = (
    span: ISpan | null | undefined,
    read: (span: ISpan) => React.ReactNode
  ) =>
    span ? read(span) : <span className="gol-TracePane-quiet">{none}</span>;
  return (
    <div className="gol-TraceComparison-body">
      <Totals traces={[first, second]} trans={trans} />
      <DataTable
        caption={trans.__('Spans in pairs')}
        region="gol-TraceComparison-pairs"
        rows={pairs.slice(0, MOST_PAIRS)}
        rowKey={keyOf}
        selected={chosen ?? undefined}
        onOpen={row => setChosen(keyOf(row))}
        columns={[
          {
            id: 'span',
            title: trans.__('Span'),
            isHead: true,
            cell: ({ first: one, second: other, depth }) => (
              <span style={{ paddingInlineStart: depth * INDENT_PX }}>
                {(one ?? other)?.name}{' '}
                <span className="gol-TracePane-quiet">
                  {kindWord((one ?? other)?.kind ?? '', trans)}
                </span>
              </span>
            )
          },
          ...(['first', 'second'] as const).map((which, at) => ({
            id: which,
            title: at === 0 ? trans.__('First') : trans.__('Second'),
            cell: (row: ISpanPair) =>
              side(row[which], ({ status, duration }) => (
                <>
                  {status === 'error' && (
                    <StatusBadge {...statusWord(status, trans)} />
                  )}{' '}
                  {typeof duration === 'number'
                    ? formatSpanTime(duration)
                    : trans.__('not ended')}
                </>
              ))
          })),
          ...(['first', 'second'] as const).map((which, at) => ({
            id: `${which}-tokens`,
            title:
              at === 0 ? trans.__('Tokens, first') : trans.__('Tokens, second'),
            cell: (row: ISpanPair) =>
              tokenTotal(row[which]?.tokens)?.toLocaleString() ?? '–'
          })),
          {
            id: 'content',
            title: trans.__('Content'),
            cell: ({ same_content: same }) =>
              same === true
                ? trans.__('same')
                : same === false
                  ? trans.__('differs')
                  : '–'
          }
        ]}
      />
      {pairs.length > MOST_PAIRS && (
        <p className="gol-Note">
          {trans.__(
            'The first %1 of %2 pairs.',
            MOST_PAIRS,
            pairs.length.toLocaleString()
          )}
        </p>
      )}
      {pair && (
        <PairTexts
          key={chosen}
          traces={[first, second]}
          pair={pair}
          service={service}
          trans={trans}
        />
      )}
    </div>
  );
}

function Totals(props: {
  traces: readonly [ITrace, ITrace];
  trans: TranslationBundle;
}): React.ReactElement {
  const { traces, trans } = props;
  const unknown = trans.__('unknown');
  const rows: [string, (trace: ITrace) => React.ReactNode][] = [
    [trans.__('Name'), ({ name, trace_id }) => name || trace_id],
    [
      trans.__('Status'),
      ({ status }) => <StatusBadge {...statusWord(status, trans)} />
    ],
    [
      trans.__('Duration'),
      ({ duration }) =>
        typeof duration === 'number' ? formatSpanTime(duration) : unknown
    ],
    [
      trans.__('Tokens'),
      ({ tokens }) => tokenTotal(tokens)?.toLocaleString() ?? unknown
    ],
    [
      trans.__('Cost'),
      ({ cost }) => (typeof cost === 'number' ? formatMoney(cost) : unknown)
    ],
    [trans.__('Spans'), ({ spans_total }) => spans_total.toLocaleString()]
  ];
  return (
    <DataTable
      caption={trans.__('Both traces')}
      rows={rows}
      rowKey={([name]) => name}
      columns={[
        { id: 'name', title: '', isHead: true, cell: ([name]) => name },
        {
          id: 'first',
          title: trans.__('First'),
          cell: ([, read]) => read(traces[0])
        },
        {
          id: 'second',
          title: trans.__('Second'),
          cell: ([, read]) => read(traces[1])
        }
      ]}
    />
  );
}

function PairTexts(props: {
  traces: readonly [ITrace, ITrace];
  pair: ISpanPair;
  service: Pick<TracesService, 'content'>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { traces, pair, service, trans } = props;
  const resource = React.useMemo(() => {
    const read = (
      { trace_id }: ITrace,
      span: ISpan | null | undefined,
      signal: AbortSignal
    ) =>
      span
        ? service.content(trace_id, span.span_id, FIRST_CHARACTERS, signal)
        : null;
    return new Resource<[ISpanContent | null, ISpanContent | null]>({
      fetch: signal =>
        Promise.all([
          read(traces[0], pair.first, signal),
          read(traces[1], pair.second, signal)
        ]),
      trans
    });
    // The pair stays the same while this is shown.
  }, [service, trans]);
  React.useEffect(() => {
    void resource.refresh();
    return () => resource.dispose();
  }, [resource]);
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={trans.__('The messages of these spans cannot be read.')}
      empty={<></>}
    >
      {contents => {
        const [one, other] = contents.map(content =>
          content ? textsOf(content) : { asked: '', answered: '' }
        );
        return (
          <>
            <WordDiff
              title={trans.__('Outputs')}
              before={one.answered}
              after={other.answered}
              trans={trans}
            />
            <WordDiff
              title={trans.__('Inputs')}
              before={one.asked}
              after={other.asked}
              trans={trans}
            />
          </>
        );
      }}
    </ResourceView>
  );
}

/** Two texts side by side; the words that differ are marked, and not by colour alone. */
export function WordDiff(props: {
  title: string;
  before: string;
  after: string;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { title, before, after, trans } = props;
  const [left, right] = React.useMemo(
    () => wordDiff(before, after),
    [before, after]
  );
  if (!before && !after) {
    return null;
  }
  return (
    <section className="gol-WordDiff" aria-label={title}>
      <h3>{before === after ? trans.__('%1: the same', title) : title}</h3>
      <div className="gol-WordDiff-sides">
        <Side parts={left} label={trans.__('First')} mark="del" />
        <Side parts={right} label={trans.__('Second')} mark="ins" />
      </div>
    </section>
  );
}

function Side(props: {
  parts: readonly IDiffPart[];
  label: string;
  mark: 'del' | 'ins';
}): React.ReactElement {
  const Mark = props.mark;
  return (
    <pre aria-label={props.label} role="group" tabIndex={0}>
      {props.parts.map(({ text, changed }, at) =>
        changed ? <Mark key={at}>{text}</Mark> : text
      )}
    </pre>
  );
}

function keyOf({ first, second }: ISpanPair): string {
  return `${first?.span_id ?? ''} ${second?.span_id ?? ''}`;
}

function differs({ first, second, same_content }: ISpanPair): boolean {
  return (
    !first ||
    !second ||
    same_content === false ||
    first.status !== second.status
  );
}
