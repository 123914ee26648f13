import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Disclosure, Meter } from '../../core';

import { AnswerContent } from './answer-content';
import type { ILabelContent, ILabelItems, LabelsModel } from './model';
import { LabelResults } from './results';

/** One answer at a time. Keys: 1 to 9 choose, space skips, u undoes, p goes back, n goes to the note, f to the modes. */
export function Rating(props: {
  model: LabelsModel;
  open: ILabelItems;
}): React.ReactElement {
  const { model, open } = props;
  const { trans, current, error, former, report } = model;
  const { queue, items } = open;
  const choices = queue.question?.choices ?? [];
  const root = React.useRef<HTMLElement>(null);
  const note = React.useRef<HTMLTextAreaElement>(null);
  const isText = choices.length === 0;
  React.useEffect(() => root.current?.focus({ preventScroll: true }), []);
  React.useEffect(() => {
    root.current?.querySelector('.gol-Labels-answer')?.scrollTo(0, 0);
  }, [current]);
  const onKeyDown = (event: React.KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (target.matches('input, textarea')) {
      if (event.key === 'Escape') {
        event.preventDefault();
        root.current?.focus();
      } else if (
        event.key === 'Enter' &&
        !event.shiftKey &&
        target === note.current
      ) {
        event.preventDefault();
        if (isText && model.note.trim()) {
          model.label(model.note.trim());
        }
        root.current?.focus();
      }
      return;
    }
    const choice = choices[Number(event.key) - 1];
    if (choice !== undefined && current) {
      model.label(choice);
    } else if (event.key === ' ' && !target.matches('button, summary')) {
      model.skip();
    } else if (event.key === 'u') {
      model.undo();
    } else if (event.key === 'p') {
      model.previous();
    } else if (event.key === 'f' && isText) {
      void model.showFailures();
    } else if (event.key === 'n') {
      note.current?.focus();
    } else {
      return;
    }
    event.preventDefault();
  };
  return (
    <section
      ref={root}
      className="gol-Labels-rating"
      tabIndex={-1}
      aria-label={trans.__('Label answers: %1', queue.question?.name ?? '')}
      onKeyDown={onKeyDown}
    >
      <header className="gol-Page-head">
        <ActionButton
          label={trans.__('All queues')}
          onClick={() => model.leave()}
        />
        <h2>{queue.question?.name}</h2>
        <span className="gol-Page-actions">
          <RaterName model={model} open={open} />
        </span>
      </header>
      {queue.question?.instruction && (
        <p className="gol-Labels-instruction">{queue.question.instruction}</p>
      )}
      <Meter
        label={trans.__('Labelled')}
        value={model.labelled}
        max={items.length}
        text={trans.__('%1 of %2', model.labelled, items.length)}
      />
      <p className="gol-Labels-saved" role="status">
        {model.unsaved > 0
          ? trans.__('Saving…')
          : model.labelled > 0
            ? trans.__('All labels are saved.')
            : ''}
      </p>
      {error && (
        <p className="gol-Field-error" role="alert">
          {error.message} {error.hint}
        </p>
      )}
      {current ? (
        <>
          {former && (
            <p className="gol-Note" role="status">
              {trans.__(
                'You labelled this answer: %1. Another label takes its place.',
                former.label
              )}
            </p>
          )}
          <Answer content={model.content} trans={trans} />
          <div
            className="gol-Labels-choices"
            role="group"
            aria-label={queue.question?.name}
          >
            {choices.map((choice, at) => (
              <button
                key={choice}
                type="button"
                className="gol-Labels-choice"
                aria-keyshortcuts={String(at + 1)}
                aria-pressed={former ? former.label === choice : undefined}
                disabled={!model.content}
                onClick={() => model.label(choice)}
              >
                <kbd>{at + 1}</kbd> {choice}
              </button>
            ))}
          </div>
          <label className="gol-Labels-note">
            <span>
              {isText ? trans.__('Answer (n)') : trans.__('Note (n)')}
            </span>
            <textarea
              ref={note}
              dir="auto"
              rows={2}
              value={model.note}
              onChange={event => {
                model.note = event.target.value;
              }}
            />
            <small>
              {isText
                ? trans.__('Enter keeps the text and shows the next answer.')
                : trans.__(
                    'The note is kept with the label. Enter goes back to the choices.'
                  )}
            </small>
          </label>
        </>
      ) : (
        <p>{trans.__('You labelled all answers of this queue.')}</p>
      )}
      <div className="gol-Labels-actions">
        <ActionButton
          label={former ? trans.__('Go on (space)') : trans.__('Skip (space)')}
          disabled={!current}
          onClick={() => model.skip()}
        />
        <ActionButton
          label={trans.__('Undo (u)')}
          disabled={!model.canUndo}
          onClick={() => model.undo()}
        />
        <ActionButton
          label={trans.__('Previous (p)')}
          caption={trans.__('Show the answer again that you labelled before')}
          disabled={model.mine.length === 0}
          onClick={() => model.previous()}
        />
        {isText && (
          <ActionButton
            label={trans.__('Failure modes (f)')}
            caption={trans.__('Group the notes, and count failure modes')}
            onClick={() => void model.showFailures()}
          />
        )}
        <ActionButton
          label={trans.__('Show results')}
          caption={trans.__(
            'How people and judges agree; you may be less independent afterwards'
          )}
          onClick={() => void model.showReport()}
        />
      </div>
      <Mine model={model} />
      {report && <LabelResults model={model} report={report} />}
    </section>
  );
}

/** The rater's own labels: each shows its answer again. */
function Mine({ model }: { model: LabelsModel }): React.ReactElement | null {
  const { mine, trans, current } = model;
  if (!mine.length) {
    return null;
  }
  return (
    <Disclosure title={trans.__('My labels')} meta={mine.length}>
      <ol className="gol-Labels-mine" aria-label={trans.__('My labels')}>
        {mine.map(({ trace_id, label, note }) => (
          <li key={trace_id}>
            <button
              type="button"
              className="gol-Labels-choice"
              aria-current={trace_id === current || undefined}
              onClick={() => model.revisit(trace_id)}
            >
              {note ? trans.__('%1: %2', label ?? '', note) : label}
            </button>
          </li>
        ))}
      </ol>
    </Disclosure>
  );
}

function RaterName(props: {
  model: LabelsModel;
  open: ILabelItems;
}): React.ReactElement {
  const { model, open } = props;
  const { trans } = model;
  const [name, setName] = React.useState(open.rater);
  const change = () => {
    const given = name.trim();
    // The server keeps names in small letters.
    if (given && given.toLowerCase() !== open.rater) {
      void model.choose(open.queue.id, given);
    }
  };
  return (
    <label className="gol-Labels-rater">
      <span>{trans.__('Rater')}</span>
      <input
        type="text"
        className="gol-Field-control"
        value={name}
        maxLength={100}
        onChange={event => setName(event.target.value)}
        onBlur={change}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            change();
          }
        }}
      />
    </label>
  );
}

function Answer(props: {
  content: ILabelContent | undefined;
  trans: TranslationBundle;
}): React.ReactElement {
  const { content, trans } = props;
  if (!content) {
    return <article className="gol-Labels-answer" aria-busy="true" />;
  }
  return (
    <article
      className="gol-Labels-answer"
      tabIndex={0}
      aria-label={trans.__('Answer to label')}
      aria-live="polite"
    >
      <AnswerContent content={content} trans={trans} />
    </article>
  );
}
