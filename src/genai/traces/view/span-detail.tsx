import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  Callout,
  Disclosure,
  EmptyState,
  Facts,
  Resource,
  ResourceView,
  StatusBadge
} from '../../../core';
import { formatNumber } from '../../../core/format';
import { formatMoney } from '../../../core/money';
import { kindWord, statusWord } from '../messages';
import type {
  IAssessment,
  ISpan,
  ISpanContent,
  TracesService
} from '../service';
import { FIRST_CHARACTERS, MOST_CHARACTERS } from '../service';
import { formatSpanTime } from '../time-range';

import { Chat } from './chat';
import { TokensFact } from './facts';
import { TextBlock } from './text-block';

/** One span: its figures, and what it was asked and answered. */
export function SpanDetail(props: SpanDetail.IProps): React.ReactElement {
  const { traceId, span, assessments, trans } = props;
  const status = statusWord(span.status, trans);
  const kind = kindWord(span.kind, trans);
  return (
    <section
      className="gol-Span"
      aria-label={trans.__('Span %1', span.name)}
      tabIndex={-1}
      ref={props.node}
    >
      <header className="gol-Span-head">
        <h3>{span.name || trans.__('(no name)')}</h3>
        <StatusBadge {...status} />
        {kind && <span className="gol-TracePane-fact">{kind}</span>}
        <span className="gol-TracePane-fact">
          {typeof span.duration === 'number'
            ? formatSpanTime(span.duration)
            : trans.__('not ended')}
        </span>
        {span.model && <code className="gol-TracePane-fact">{span.model}</code>}
        <TokensFact tokens={span.tokens} trans={trans} />
        {typeof span.cost === 'number' && (
          <span
            className="gol-TracePane-fact"
            title={
              span.cost_source === 'price'
                ? trans.__('Cost by the prices of your endpoints')
                : trans.__('Cost as MLflow recorded it')
            }
          >
            {formatMoney(span.cost)}
          </span>
        )}
      </header>
      {span.message && (
        <Callout tone="error" title={trans.__('This span failed')}>
          <pre className="gol-Span-error">{span.message}</pre>
        </Callout>
      )}
      {span.problem && <p className="gol-Note">{span.problem}</p>}
      <Assessments assessments={assessments} trans={trans} />
      <Content
        key={`${traceId} ${span.span_id}`}
        {...props}
        isRetriever={span.kind === 'RETRIEVER'}
      />
    </section>
  );
}

export namespace SpanDetail {
  export interface IProps {
    traceId: string;
    span: ISpan;
    /** Those of this span; for the first span those of the trace too. */
    assessments: readonly IAssessment[];
    service: Pick<TracesService, 'content'>;
    node?: React.Ref<HTMLElement>;
    trans: TranslationBundle;
  }
}

/** What people, judges and code said about a trace or span. */
function Assessments(props: {
  assessments: readonly IAssessment[];
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { assessments, trans } = props;
  if (assessments.length === 0) {
    return null;
  }
  return (
    <Disclosure
      initiallyOpen
      title={trans._n('%1 assessment', '%1 assessments', assessments.length)}
    >
      <Facts
        className="gol-Facts gol-Span-assessments"
        facts={assessments.map(each => [
          each.name,
          <>
            <strong>{each.error ? trans.__('No value') : each.value}</strong>{' '}
            <span className="gol-TracePane-quiet">
              {[sourceWord(each, trans), each.rationale || each.error]
                .filter(Boolean)
                .join(' · ')}
            </span>
          </>
        ])}
      />
    </Disclosure>
  );
}

function sourceWord(
  { source, source_id }: IAssessment,
  trans: TranslationBundle
): string {
  switch (source) {
    case 'HUMAN':
      return source_id ? trans.__('by %1', source_id) : trans.__('by a person');
    case 'LLM_JUDGE':
      return source_id
        ? trans.__('by the judge %1', source_id)
        : trans.__('by a judge');
    default:
      return source_id ? trans.__('by %1', source_id) : '';
  }
}

function Content(
  props: SpanDetail.IProps & { isRetriever: boolean }
): React.ReactElement {
  const { traceId, span, service, trans } = props;
  const [characters, setCharacters] = React.useState(FIRST_CHARACTERS);
  const resource = React.useMemo(
    () =>
      new Resource<ISpanContent>({
        fetch: signal =>
          service.content(traceId, span.span_id, characters, signal),
        trans
      }),
    // A span that ended in the meantime has more to show.
    [service, traceId, span.span_id, span.content_bytes, characters, trans]
  );
  React.useEffect(() => {
    void resource.refresh();
    return () => resource.dispose();
  }, [resource]);
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={trans.__('The messages of this span cannot be read.')}
      empty={<></>}
    >
      {content => (
        <Contents
          content={content}
          onMore={() => setCharacters(MOST_CHARACTERS)}
          trans={trans}
        />
      )}
    </ResourceView>
  );
}

/** What a span was asked and answered: as a chat and documents where they are understood, else as JSON. */
export function Contents(props: {
  content: ISpanContent;
  onMore: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { content, onMore, trans } = props;
  const { inputs, outputs, turns, documents, attributes, events } = content;
  const understood = turns.length > 0;
  const text = { onMore, trans };
  const exceptions = events.filter(({ name }) => name === 'exception');
  const others = events.filter(({ name }) => name !== 'exception');
  const raw = [
    { title: trans.__('Inputs'), value: inputs, open: !understood },
    {
      title: trans.__('Outputs'),
      value: outputs,
      open: !understood && documents.length === 0
    }
  ];
  if (
    !inputs &&
    !outputs &&
    !understood &&
    attributes.length + events.length === 0
  ) {
    return (
      <EmptyState text={trans.__('This span kept no inputs and outputs.')} />
    );
  }
  return (
    <div className="gol-Span-content">
      {exceptions.map((event, at) => (
        <Exception key={at} event={event} {...text} />
      ))}
      {understood && (
        <Chat turns={turns} label={trans.__('Messages')} {...text} />
      )}
      {documents.length > 0 && (
        <Disclosure
          initiallyOpen
          title={trans._n(
            '%1 retrieved document',
            '%1 retrieved documents',
            documents.length
          )}
        >
          <ol className="gol-Span-documents">
            {documents.map((document, at) => (
              <li key={at}>
                <div className="gol-Turns-role">
                  {document.source || trans.__('Document %1', at + 1)}
                  {typeof document.score === 'number' && (
                    <span className="gol-TracePane-quiet">
                      {trans.__('score %1', formatNumber(document.score))}
                    </span>
                  )}
                </div>
                <TextBlock text={document.text} {...text} />
                {document.metadata && (
                  <Disclosure title={trans.__('Metadata')}>
                    <TextBlock text={document.metadata} code {...text} />
                  </Disclosure>
                )}
              </li>
            ))}
          </ol>
        </Disclosure>
      )}
      {raw.map(
        ({ title, value, open }) =>
          value && (
            <Disclosure key={title} title={title} initiallyOpen={open}>
              <TextBlock text={value} {...text} />
            </Disclosure>
          )
      )}
      {others.length > 0 && (
        <Disclosure title={trans._n('%1 event', '%1 events', events.length)}>
          {others.map((event, at) => (
            <div key={at}>
              <div className="gol-Turns-role">
                {event.name}
                <span className="gol-TracePane-quiet">
                  {trans.__('at %1', formatSpanTime(event.at))}
                </span>
              </div>
              {event.attributes.map(({ name, value }) => (
                <Disclosure key={name} title={name}>
                  <TextBlock text={value} code {...text} />
                </Disclosure>
              ))}
            </div>
          ))}
        </Disclosure>
      )}
      {attributes.length > 0 && (
        <Disclosure
          title={trans._n('%1 attribute', '%1 attributes', attributes.length)}
        >
          {attributes.map(({ name, value }) => (
            <div key={name}>
              <div className="gol-Turns-role">
                <code>{name}</code>
              </div>
              <TextBlock text={value} code {...text} />
            </div>
          ))}
        </Disclosure>
      )}
    </div>
  );
}

/** An exception that a span recorded: what it says, and the code that it came through. */
function Exception(props: {
  event: ISpanContent['events'][number];
  onMore: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { event, onMore, trans } = props;
  const of = (key: string) =>
    event.attributes.find(({ name }) => name === `exception.${key}`)?.value;
  const stack = of('stacktrace');
  return (
    <Callout
      tone="error"
      title={[of('type')?.text, of('message')?.text].filter(Boolean).join(': ')}
    >
      {stack && (
        <Disclosure title={trans.__('Stack trace')}>
          <TextBlock text={stack} code onMore={onMore} trans={trans} />
        </Disclosure>
      )}
    </Callout>
  );
}
