import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  IconButton,
  RelativeTime,
  Resource,
  ResourceView,
  StatusBadge
} from '../../../core';
import type { GenOpsEvents } from '../../../core';
import { statusWord } from '../messages';
import type { ISession, ISessionTrace, TracesService } from '../service';
import { FIRST_OF_SESSION, MOST_OF_SESSION } from '../service';
import { formatSpanTime } from '../time-range';

import { Chat } from './chat';
import { CostFact, TokensFact } from './facts';
import { Pane } from './pane';

/** A session: its traces in order as one conversation, with totals. */
export function SessionPane(props: SessionPane.IProps): React.ReactElement {
  const { session, experiment, service, events, onClose, trans } = props;
  const [characters, setCharacters] = React.useState(FIRST_OF_SESSION);
  const resource = React.useMemo(
    () =>
      new Resource<ISession>({
        fetch: signal =>
          service.session(session, experiment, characters, signal),
        events,
        kinds: ['trace'],
        trans
      }),
    [service, events, session, experiment, characters, trans]
  );
  React.useEffect(() => () => resource.dispose(), [resource]);
  React.useEffect(() => {
    resource.visible = props.seen;
  }, [resource, props.seen]);
  const close = React.useRef<HTMLSpanElement>(null);
  // The menu or the button that opened the pane is gone: keys go on here.
  React.useEffect(() => close.current?.querySelector('button')?.focus(), []);
  return (
    <Pane
      label={trans.__('Session')}
      className="gol-SessionPane"
      onClose={onClose}
    >
      <header className="gol-TracePane-head">
        <div className="gol-TracePane-line">
          <h2 title={session}>{trans.__('Session %1', session)}</h2>
          <span className="gol-TracePane-close" ref={close}>
            <IconButton
              icon={closeIcon}
              label={trans.__('Close the session')}
              onClick={onClose}
            />
          </span>
        </div>
      </header>
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The session cannot be read.')}
        keepMounted
        empty={<></>}
      >
        {found => (
          <Conversation
            {...props}
            found={found}
            onMore={() => setCharacters(MOST_OF_SESSION)}
          />
        )}
      </ResourceView>
    </Pane>
  );
}

export namespace SessionPane {
  export interface IProps {
    session: string;
    /** The experiment whose traces are shown; empty: those of all. */
    experiment: string;
    /** Whether the page is visible. */
    seen: boolean;
    service: TracesService;
    events: GenOpsEvents;
    onOpen: (traceId: string) => void;
    onClose: () => void;
    trans: TranslationBundle;
  }
}

function Conversation(
  props: SessionPane.IProps & { found: ISession; onMore: () => void }
): React.ReactElement {
  const { found, trans } = props;
  const { traces, traces_total: total, failed, experiments } = found;
  const hidden = total - traces.length;
  const several = experiments.length > 1;
  return (
    <>
      <div className="gol-TracePane-notes">
        <div className="gol-TracePane-line">
          <span className="gol-TracePane-fact">
            {trans._n('%2 trace', '%2 traces', total, total.toLocaleString())}
          </span>
          {failed > 0 && (
            <StatusBadge
              tone="error"
              label={trans._n(
                '%2 failed',
                '%2 failed',
                failed,
                failed.toLocaleString()
              )}
            />
          )}
          <TokensFact tokens={found.tokens} trans={trans} />
          <CostFact
            cost={found.cost}
            isPartial={found.cost_is_partial}
            trans={trans}
          />
          {typeof found.started_at === 'number' && (
            <span className="gol-TracePane-fact">
              <RelativeTime seconds={found.started_at} trans={trans} />
            </span>
          )}
          {typeof found.started_at === 'number' &&
            typeof found.ended_at === 'number' && (
              <span
                className="gol-TracePane-fact"
                title={trans.__('From the first request to the last answer')}
              >
                {trans.__(
                  'over %1',
                  formatSpanTime(found.ended_at - found.started_at)
                )}
              </span>
            )}
        </div>
        {several && (
          <p className="gol-Note">
            {trans.__(
              'Traces of several experiments use this session id: %1.',
              experiments.join(', ')
            )}
          </p>
        )}
        {hidden > 0 && (
          <p className="gol-Note">
            {trans._n(
              'The first trace is not shown. The totals include it.',
              'The first %2 traces are not shown. The totals include them.',
              hidden,
              hidden.toLocaleString()
            )}
          </p>
        )}
      </div>
      <ol
        className="gol-SessionPane-traces"
        start={hidden + 1}
        aria-label={trans.__('Conversation')}
      >
        {traces.map((trace, at) => (
          <li key={trace.trace_id}>
            <TraceHead
              {...props}
              trace={trace}
              place={hidden + at + 1}
              experiment={several ? (trace.experiment ?? '') : ''}
            />
            {trace.problem && <p className="gol-Note">{trace.problem}</p>}
            <Chat
              turns={trace.turns}
              label={trans.__('Messages of trace %1', hidden + at + 1)}
              onMore={props.onMore}
              trans={trans}
            />
          </li>
        ))}
      </ol>
    </>
  );
}

/** The figures of one trace, above what was said in it. */
function TraceHead(
  props: SessionPane.IProps & {
    trace: ISessionTrace;
    place: number;
    experiment: string;
  }
): React.ReactElement {
  const { trace, place, experiment, onOpen, trans } = props;
  return (
    <div className="gol-TracePane-line">
      <strong>{place}</strong>
      {trace.status !== 'OK' && (
        <StatusBadge {...statusWord(trace.status, trans)} />
      )}
      {experiment && (
        <span className="gol-TracePane-fact">{experiment}</span>
      )}
      {typeof trace.started_at === 'number' && (
        <span className="gol-TracePane-fact">
          <RelativeTime seconds={trace.started_at} trans={trans} />
        </span>
      )}
      {typeof trace.duration === 'number' && (
        <span className="gol-TracePane-fact">
          {formatSpanTime(trace.duration)}
        </span>
      )}
      <TokensFact tokens={trace.tokens} trans={trans} />
      <CostFact cost={trace.cost} trans={trans} />
      <ActionButton
        label={trans.__('Open trace')}
        caption={trans.__('Show the spans of trace %1', place)}
        onClick={() => onOpen(trace.trace_id)}
      />
    </div>
  );
}
