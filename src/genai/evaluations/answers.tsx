import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  Facts,
  Resource,
  ResourceView,
  formatDuration
} from '../../core';
import { Pictures } from '../traces/view/pictures';
import { wordDiff } from '../traces/word-diff';

import { short } from './figures';
import type {
  AnswersService,
  IAnsweredRow,
  IAnswer,
  IEvaluation,
  ISide
} from './service';

/** One example: its row, and the answers of one or two sides, repeat by repeat. */
export function ExampleAnswers(props: {
  evaluation: IEvaluation;
  /** Where the results come from: the answers are read again after new ones. */
  report: object;
  sides: readonly ISide[];
  example: string;
  service: AnswersService;
  onTrace: (id: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { evaluation, report, sides, example, service } = props;
  const { onTrace, trans } = props;
  const { id, stage } = evaluation;
  const against = sides.find(side => side.evaluation !== id)?.evaluation ?? '';
  const wanted = React.useRef(example);
  wanted.current = example;
  // One resource for all examples: the last one stays until the next one is there.
  const answers = React.useMemo(
    () =>
      new Resource<IAnsweredRow | undefined>({
        fetch: signal => service.answers(id, wanted.current, against, signal),
        isEmpty: row => row === undefined,
        trans
      }),
    [service, id, stage, report, against, trans]
  );
  React.useEffect(() => {
    answers.visible = true;
    return () => answers.dispose();
  }, [answers]);
  React.useEffect(() => void answers.refresh(), [answers, example]);
  const [marks, setMarks] = React.useState(true);
  return (
    <section
      className="gol-Example"
      aria-label={trans.__('Answers to the example %1', example)}
      tabIndex={0}
    >
      <ResourceView
        resource={answers}
        trans={trans}
        down={trans.__('The answers cannot be read.')}
        empty={
          <p className="gol-Note">
            {trans.__('The evaluation has no such example.')}
          </p>
        }
      >
        {row =>
          row && (
            <>
              <Facts
                className="gol-Facts gol-Example-row"
                facts={Object.entries(row.row).map(([name, value]) => [
                  name,
                  row.pictures?.[name] ? (
                    <Pictures
                      pictures={[row.pictures[name]]}
                      label={trans.__('Picture of %1', name)}
                      trans={trans}
                    />
                  ) : typeof value === 'string' ? (
                    value
                  ) : (
                    JSON.stringify(value)
                  )
                ])}
              />
              {sides.length > 1 && (
                <label className="gol-Examples-select">
                  <input
                    type="checkbox"
                    checked={marks}
                    onChange={({ target }) => setMarks(target.checked)}
                  />
                  {trans.__('Mark the words that differ')}
                </label>
              )}
              {repeatsOf(row.answers, sides).map((answered, at, all) => (
                <Repeat
                  key={at}
                  title={
                    all.length > 1 ? trans.__('Repeat %1', at + 1) : undefined
                  }
                  answers={answered}
                  {...{ sides, marks, onTrace, trans }}
                />
              ))}
            </>
          )
        }
      </ResourceView>
    </section>
  );
}

/** The answers of each repeat, in the order of the sides. */
export function repeatsOf(
  answers: readonly IAnswer[],
  sides: readonly Pick<ISide, 'evaluation' | 'model'>[]
): (IAnswer | undefined)[][] {
  const own = sides.map(side =>
    answers.filter(
      ({ evaluation, model }) =>
        evaluation === side.evaluation && model === side.model
    )
  );
  const most = Math.max(...own.flat().map(({ repeat }) => repeat + 1), 1);
  return Array.from({ length: most }, (_, at) =>
    own.map(each => each.find(({ repeat }) => repeat === at))
  );
}

function Repeat(props: {
  title: string | undefined;
  sides: readonly ISide[];
  answers: readonly (IAnswer | undefined)[];
  marks: boolean;
  onTrace: (id: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { title, sides, answers, marks, onTrace, trans } = props;
  const [one, other] = answers;
  const parts = React.useMemo(
    () =>
      marks && one && other && !one.failure && !other.failure
        ? wordDiff(one.text ?? '', other.text ?? '')
        : null,
    [marks, one, other]
  );
  return (
    <>
      {title && <h4>{title}</h4>}
      <div className="gol-Example-answers">
        {sides.map(({ evaluation, model, label }, at) => (
          <Answer
            key={`${evaluation}\n${model}`}
            label={label}
            answer={answers[at]}
            onTrace={onTrace}
            trans={trans}
          >
            {parts?.[at].map(({ text, changed }, place) => {
              const Mark = at === 0 ? 'del' : 'ins';
              return changed ? (
                <Mark key={place}>{text}</Mark>
              ) : (
                <span key={place}>{text}</span>
              );
            })}
          </Answer>
        ))}
      </div>
    </>
  );
}

/** An answer with its scores and their reasons. `children`: its text with the words that differ marked. */
function Answer(props: {
  label: string;
  answer: IAnswer | undefined;
  onTrace: (id: string) => void;
  children: React.ReactNode;
  trans: TranslationBundle;
}): React.ReactElement {
  const { label, answer, onTrace, children, trans } = props;
  if (!answer) {
    return (
      <article aria-label={label}>
        <h4>{label}</h4>
        <p className="gol-Note">{trans.__('Not asked yet.')}</p>
      </article>
    );
  }
  const { failure, message, text, trace_id, scores, usage } = answer;
  const facts = [
    formatDuration(answer.latency_s ?? 0),
    trans._n(
      '%1 token',
      '%1 tokens',
      (usage?.input ?? 0) + (usage?.output ?? 0)
    ),
    (answer.tries ?? 1) > 1 && trans.__('%1 calls', answer.tries!),
    answer.finish_reason === 'length' && trans.__('cut off at max_tokens'),
    answer.joined && trans.__('shared with an equal row')
  ];
  return (
    <article aria-label={label}>
      <header>
        <h4>{label}</h4>
        <span className="gol-Note">{facts.filter(Boolean).join(' · ')}</span>
        {trace_id && (
          <ActionButton
            label={trans.__('Trace')}
            caption={trans.__('Open the trace of this answer')}
            onClick={() => onTrace(trace_id)}
          />
        )}
      </header>
      {failure ? (
        <Callout tone="error" title={trans.__('No answer: %1', failure)}>
          {message ?? ''}
        </Callout>
      ) : (
        <div className="gol-Example-text">
          {children ?? text}
          {!text && (
            <span className="gol-Note">{trans.__('The answer is empty.')}</span>
          )}
        </div>
      )}
      {scores && scores.length > 0 && (
        <ul className="gol-Example-scores">
          {scores.map(({ scorer, value, reason }) => (
            <li key={scorer}>
              <span
                className={`gol-Mark ${value === null ? 'gol-mod-none' : value <= 0.5 ? 'gol-mod-low' : 'gol-mod-high'}`}
              >
                {value === null
                  ? trans.__('%1: not scored', scorer)
                  : trans.__('%1: %2', scorer, short(value))}
              </span>
              {reason && <span className="gol-Note">{reason}</span>}
            </li>
          ))}
        </ul>
      )}
    </article>
  );
}
