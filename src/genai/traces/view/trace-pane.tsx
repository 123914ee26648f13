import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  EmptyState,
  IconButton,
  RelativeTime,
  Resource,
  ResourceView,
  ShortId,
  StatusBadge,
  useSignalled
} from '../../../core';
import type { GenOpsEvents } from '../../../core';
import type { ITraceActions } from '../actions';
import type { DatasetRows } from '../dataset-rows';
import { statusWord } from '../messages';
import type { ITrace, TracesService } from '../service';
import { firstShown } from '../span-tree';
import { formatSpanTime } from '../time-range';

import { CostFact, TokensFact } from './facts';
import { Pane } from './pane';
import { SpanDetail } from './span-detail';
import { Waterfall } from './waterfall';

/** One trace: its figures, its spans on an axis of time, and the chosen span. */
export function TracePane(props: TracePane.IProps): React.ReactElement {
  const { id, service, events, onClose, trans } = props;
  const resource = React.useMemo(
    () =>
      new Resource<ITrace>({
        fetch: signal => service.trace(id, signal),
        events,
        kinds: ['trace'],
        // Only a trace that is in progress still changes, except for what people say about it.
        accepts: change => change.id === '' || change.id === id,
        trans
      }),
    [service, events, id, trans]
  );
  React.useEffect(() => () => resource.dispose(), [resource]);
  React.useEffect(() => {
    resource.visible = props.seen;
  }, [resource, props.seen]);
  return (
    <Pane label={trans.__('Trace')} onClose={onClose}>
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The trace cannot be read.')}
        keepMounted
        empty={<></>}
      >
        {trace => <Trace key={trace.trace_id} {...props} trace={trace} />}
      </ResourceView>
    </Pane>
  );
}

export namespace TracePane {
  export interface IProps {
    id: string;
    /** Whether the page is visible. */
    seen: boolean;
    service: TracesService;
    events: GenOpsEvents;
    rows: DatasetRows;
    actions: ITraceActions;
    onSession: (session: string, experiment: string) => void;
    onTrace: (traceId: string) => void;
    onClose: () => void;
    trans: TranslationBundle;
  }
}

function Trace(
  props: TracePane.IProps & { trace: ITrace }
): React.ReactElement {
  const { trace, service, trans } = props;
  const { spans } = trace;
  const [chosen, setChosen] = React.useState<string | null>(() =>
    firstShown(spans)
  );
  const detail = React.useRef<HTMLElement>(null);
  const span = spans.find(({ span_id }) => span_id === chosen) ?? spans[0];
  const more = trace.spans_total - spans.length;
  const end = spans.reduce(
    (last, each) => Math.max(last, each.start + (each.duration ?? 0)),
    trace.duration ?? 0
  );
  return (
    <>
      <Head {...props} />
      <div className="gol-TracePane-notes">
        {trace.problems.length > 0 && (
          <Callout tone="warning" title={trans.__('This trace has gaps')}>
            {trace.problems.map(problem => (
              <p key={problem}>{problem}</p>
            ))}
          </Callout>
        )}
        {more > 0 && (
          <p className="gol-Note">
            {trans._n(
              '%2 more span is not shown.',
              '%2 more spans are not shown.',
              more,
              more.toLocaleString()
            )}
          </p>
        )}
        {!span && (
          <EmptyState text={trans.__('This trace has no spans yet.')} />
        )}
      </div>
      {span && (
        <div className="gol-TracePane-body">
          <Waterfall
            spans={spans}
            duration={end}
            selected={span.span_id}
            onSelect={setChosen}
            onEnter={() => detail.current?.focus()}
            trans={trans}
          />
          <SpanDetail
            traceId={trace.trace_id}
            span={span}
            assessments={trace.assessments.filter(
              each =>
                each.span_id === span.span_id ||
                (!each.span_id && span === spans[0])
            )}
            service={service}
            node={detail}
            trans={trans}
          />
        </div>
      )}
    </>
  );
}

function Head(props: TracePane.IProps & { trace: ITrace }): React.ReactElement {
  const { trace, rows, actions, onClose, trans } = props;
  const { trace_id, experiment_id, run_id, notebook, cell, session } = trace;
  const caller = trace.caller_trace;
  const dataset = useSignalled(rows.changed, () => rows.dataset);
  const name = trace.name || trace_id;
  return (
    <header className="gol-TracePane-head">
      <div className="gol-TracePane-line">
        <h2 title={name}>{name}</h2>
        <StatusBadge {...statusWord(trace.status, trans)} />
        {typeof trace.duration === 'number' && (
          <span className="gol-TracePane-fact">
            {formatSpanTime(trace.duration)}
          </span>
        )}
        <TokensFact tokens={trace.tokens} trans={trans} />
        <CostFact
          cost={trace.cost}
          isPartial={trace.cost_is_partial}
          trans={trans}
        />
        {typeof trace.started_at === 'number' && (
          <span className="gol-TracePane-fact">
            <RelativeTime seconds={trace.started_at} trans={trans} />
          </span>
        )}
        <ShortId
          id={trace_id}
          length={11}
          label={trans.__('Copy the trace id')}
          trans={trans}
        />
        <span className="gol-TracePane-close">
          <IconButton
            icon={closeIcon}
            label={trans.__('Close the trace')}
            onClick={onClose}
          />
        </span>
      </div>
      <div className="gol-TracePane-line">
        <ActionButton
          label={
            dataset
              ? trans.__('Add to data set %1', dataset)
              : trans.__('Add to data set…')
          }
          caption={trans.__(
            'Make a row of this trace: its inputs, and what people expected'
          )}
          onClick={() => void rows.add([trace_id])}
        />
        {dataset && (
          <ActionButton
            label={trans.__('Other data set…')}
            onClick={() => void rows.add([trace_id], true)}
          />
        )}
        {session && (
          <ActionButton
            label={trans.__('Open session')}
            caption={trans.__('Show all traces of the session %1', session)}
            onClick={() => props.onSession(session, experiment_id)}
          />
        )}
        {caller && (
          <ActionButton
            label={trans.__('Open trace of the application')}
            caption={trans.__(
              'Show the trace of the application that called this deployment'
            )}
            onClick={() => props.onTrace(caller)}
          />
        )}
        {notebook && (
          <ActionButton
            label={cell ? trans.__('Go to cell') : trans.__('Open notebook')}
            caption={notebook}
            onClick={() => actions.openCell(notebook, cell)}
          />
        )}
        {run_id && (
          <ActionButton
            label={trans.__('Open run')}
            onClick={() => actions.openRun(run_id)}
          />
        )}
        <ActionButton
          label={trans.__('Open in MLflow')}
          onClick={() => actions.openMlflow({ trace_id, experiment_id })}
        />
      </div>
    </header>
  );
}
