import { Notification } from '@jupyterlab/apputils';
import * as React from 'react';

import {
  ActionButton,
  DataTable,
  Disclosure,
  EmptyState,
  Loading,
  ResourceView,
  tellFailure
} from '../../core';
import { PageHead } from '../../core/ui/page';
import { Interval } from '../evaluations/interval';
import { costText } from '../evaluations/figures';

import { AnswerContent } from './answer-content';
import type {
  FailuresModel,
  IFailureMode,
  IFailureModes,
  INotedAnswer,
  INoteGroup,
  IPlannedCalls
} from './failures-model';
import type { IModeDialog } from './mode-dialog';
import type { ILabelContent } from './model';
import { ScorerFile } from './scorer-file';

/** The choice of a new failure mode in the list of those that exist. */
const NEW = '\n';

/** The failure modes of a queue, and the notes that have none yet. */
export function Failures(props: {
  model: FailuresModel;
  onClose: () => void;
}): React.ReactElement {
  const { model, onClose } = props;
  const { trans } = model;
  const root = React.useRef<HTMLElement>(null);
  React.useEffect(() => root.current?.focus({ preventScroll: true }), []);
  return (
    <section
      ref={root}
      className="gol-Failures"
      tabIndex={-1}
      aria-label={trans.__('Failure modes')}
    >
      <PageHead
        title={trans.__('Failure modes')}
        actions={
          <ActionButton
            label={trans.__('Read answers')}
            caption={trans.__('Go back to the notes on answers')}
            onClick={onClose}
          />
        }
      >
        <span className="gol-Labels-facts">{model.queue.name}</span>
      </PageHead>
      <ResourceView
        resource={model.modes}
        trans={trans}
        down={trans.__('The failure modes cannot be read.')}
        keepMounted
        empty={null}
      >
        {found =>
          found.read > 0 ? (
            <Found model={model} found={found} />
          ) : (
            <EmptyState
              text={trans.__(
                'There are no notes. Read failures and note why each fails; then the notes become failure modes here.'
              )}
              actions={[
                {
                  label: trans.__('Read answers'),
                  primary: true,
                  onClick: onClose
                }
              ]}
            />
          )
        }
      </ResourceView>
    </section>
  );
}

function Found(props: {
  model: FailuresModel;
  found: IFailureModes;
}): React.ReactElement {
  const { model, found } = props;
  const { trans } = model;
  const { modes, read } = found;
  const notes = new Map(
    (found.answers ?? []).map(each => [each.trace_id, each])
  );
  const named = new Set(modes.flatMap(({ trace_ids }) => trace_ids));
  const noted = (traces: readonly string[]) =>
    traces.flatMap(trace => notes.get(trace) ?? []);
  const [own, setOwn] = React.useState<readonly INoteGroup[]>();
  // A note that was named meanwhile leaves its group.
  const groups = (own ?? found.suggested ?? [])
    .map(group => ({
      ...group,
      trace_ids: group.trace_ids.filter(
        trace => notes.has(trace) && !named.has(trace)
      )
    }))
    .filter(({ trace_ids }) => trace_ids.length > 0);
  const grouped = new Set(groups.flatMap(({ trace_ids }) => trace_ids));
  const others = [...notes.values()].filter(
    ({ trace_id }) => !named.has(trace_id) && !grouped.has(trace_id)
  );
  const open = (given: IModeDialog) => {
    void import('./mode-dialog')
      .then(({ openMode }) => openMode(model, given))
      .catch((reason: unknown) => tellFailure(reason, trans));
  };
  const list = (answers: readonly INotedAnswer[], label: string) => (
    <Notes {...{ model, modes, answers, label, open }} />
  );
  return (
    <>
      <p role="status">
        {trans._n(
          '%1 answer has a note, %2 of them without a failure mode.',
          '%1 answers have a note, %2 of them without a failure mode.',
          read,
          notes.size - named.size
        )}
      </p>
      {modes.length > 0 && <Modes {...{ model, found, noted, list, open }} />}
      {named.size < notes.size && (
        <>
          <h3>{trans.__('Suggested groups')}</h3>
          <Suggest model={model} onGroups={setOwn} />
        </>
      )}
      {groups.map(({ words, name, description, trace_ids }) => {
        const label = name || words.join(', ') || trans.__('A group');
        return (
          <div key={trace_ids.join()} className="gol-Failures-group">
            <header>
              <h4>{label}</h4>
              <ActionButton
                label={trans.__('Name this group…')}
                caption={trans.__('Name the failure mode: %1', label)}
                onClick={() =>
                  open({ notes: noted(trace_ids), name, description })
                }
              />
            </header>
            {description && <p className="gol-Note">{description}</p>}
            {list(noted(trace_ids), trans.__('Notes of the group %1', label))}
          </div>
        );
      })}
      {others.length > 0 && (
        <>
          <h3>{trans.__('Other notes')}</h3>
          {list(others, trans.__('Other notes'))}
        </>
      )}
    </>
  );
}

/** Choose what suggests groups: words in common, or a model, whose cost is said first. */
function Suggest(props: {
  model: FailuresModel;
  onGroups: (groups: readonly INoteGroup[] | undefined) => void;
}): React.ReactElement {
  const { model, onGroups } = props;
  const { trans } = model;
  const [endpoints, setEndpoints] = React.useState<readonly string[]>([]);
  const [cost, setCost] = React.useState<IPlannedCalls>();
  const [asking, setAsking] = React.useState<AbortController>();
  const [said, setSaid] = React.useState('');
  React.useEffect(() => {
    model.endpoints().then(setEndpoints, () => setEndpoints([]));
  }, [model]);
  const choose = (endpoint: string) => {
    onGroups(undefined);
    setCost(undefined);
    setSaid('');
    if (endpoint) {
      model
        .plan(endpoint)
        .then(setCost)
        .catch((reason: unknown) => tellFailure(reason, trans));
    }
  };
  const ask = async (endpoint: string) => {
    const controller = new AbortController();
    setAsking(controller);
    setSaid(trans.__('Asking %1…', endpoint));
    try {
      const groups = await model.suggest(endpoint, controller.signal);
      onGroups(groups);
      setSaid(
        trans._n(
          '%2 suggests %1 group. You decide.',
          '%2 suggests %1 groups. You decide.',
          groups.length,
          endpoint
        )
      );
    } catch (reason) {
      setSaid('');
      if (!controller.signal.aborted) {
        tellFailure(reason, trans);
      }
    }
    setAsking(undefined);
  };
  return (
    <p className="gol-Failures-suggest">
      <label>
        {trans.__('Groups by')}{' '}
        <select
          className="gol-Field-control"
          disabled={asking !== undefined}
          onChange={({ target }) => choose(target.value)}
        >
          <option value="">{trans.__('words in common')}</option>
          {endpoints.map(name => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {cost && !asking && (
        <>
          <ActionButton
            label={trans.__('Ask the model')}
            caption={trans.__('Send the notes without a failure mode')}
            onClick={() => void ask(cost.model)}
          />
          <span>
            {trans.__(
              'At most %1 tokens in and %2 out. Cost at most: %3.',
              (cost.input_tokens ?? 0).toLocaleString(),
              (cost.output_tokens ?? 0).toLocaleString(),
              costText(
                cost.money === null
                  ? null
                  : new Map([[cost.currency ?? 'USD', cost.money]]),
                trans
              )
            )}
          </span>
        </>
      )}
      {asking && (
        <ActionButton
          label={trans.__('Cancel')}
          onClick={() => asking.abort()}
        />
      )}
      <span role="status">{said}</span>
    </p>
  );
}

/** What stands below a failure mode. */
type Part = 'answers' | 'scorer';

/** A button that shows what stands below its row, and hides it again. */
function Toggle(props: {
  label: string;
  caption: string;
  expanded: boolean;
  onClick: () => void;
}): React.ReactElement {
  const { label, caption, expanded, onClick } = props;
  return (
    <button
      type="button"
      className="gol-Button jp-mod-styled jp-mod-minimal"
      title={caption}
      aria-expanded={expanded}
      onClick={onClick}
    >
      {label}
    </button>
  );
}

/** The failure modes with their counts; one of them is open. */
function Modes(props: {
  model: FailuresModel;
  found: IFailureModes;
  noted: (traces: readonly string[]) => INotedAnswer[];
  list: (answers: readonly INotedAnswer[], label: string) => React.ReactElement;
  open: (given: IModeDialog) => void;
}): React.ReactElement {
  const { model, found, noted, list, open } = props;
  const { trans } = model;
  const [shown, setShown] = React.useState<[string, Part]>();
  const isShown = (id: string, part: Part) =>
    shown?.[0] === id && shown[1] === part;
  const toggle = (id: string, part: Part) =>
    setShown(isShown(id, part) ? undefined : [id, part]);
  const columns: DataTable.IColumn<IFailureMode>[] = [
    {
      id: 'name',
      title: trans.__('Failure mode'),
      isHead: true,
      cell: ({ name, description }) => (
        <>
          <span className="gol-Failures-name">{name}</span>
          {description !== name && (
            <span className="gol-Failures-description">{description}</span>
          )}
        </>
      )
    },
    {
      id: 'answers',
      title: trans.__('Answers'),
      numeric: true,
      cell: ({ trace_ids }) =>
        trans.__('%1 of %2', trace_ids.length, found.read)
    },
    {
      id: 'share',
      title: trans.__('Share, 95 % interval'),
      cell: ({ share }) => (
        <Interval
          estimate={share}
          scale={[0, 1]}
          caption={trans._n(
            'Share of %1 failure that was read, with its exact 95 % interval',
            'Share of %1 failures that were read, with its exact 95 % interval',
            share.n
          )}
          trans={trans}
        />
      )
    },
    {
      id: 'actions',
      title: trans.__('Actions'),
      cell: mode => (
        <span className="gol-Failures-buttons">
          <Toggle
            label={trans.__('Answers')}
            caption={trans.__('Show the answers of %1', mode.name)}
            expanded={isShown(mode.id, 'answers')}
            onClick={() => toggle(mode.id, 'answers')}
          />
          <ActionButton
            label={trans.__('Describe…')}
            caption={trans.__('Change name and description of %1', mode.name)}
            onClick={() => open({ mode, notes: [] })}
          />
          <Toggle
            label={trans.__('Make a scorer')}
            caption={trans.__('Show a rubric that finds %1', mode.name)}
            expanded={isShown(mode.id, 'scorer')}
            onClick={() => toggle(mode.id, 'scorer')}
          />
          <ActionButton
            label={trans.__('Make a data set')}
            caption={trans.__(
              'Add its answers as rows to the MLflow data set %1',
              mode.name
            )}
            onClick={() => void makeDataset(model, mode)}
          />
        </span>
      )
    }
  ];
  return (
    <DataTable
      caption={trans.__('Failure modes')}
      className="gol-Table gol-Failures-table"
      columns={columns}
      rows={found.modes}
      rowKey={({ id }) => id}
      below={mode =>
        isShown(mode.id, 'answers') ? (
          list(noted(mode.trace_ids), trans.__('Answers of %1', mode.name))
        ) : isShown(mode.id, 'scorer') ? (
          <ScorerFile
            name={mode.name}
            rubric={mode.rubric}
            note={trans.__(
              'This scorer finds the failure mode in other answers. Replace JUDGE by a judge of your evaluation file.'
            )}
            contents={model.contents}
            trans={trans}
          />
        ) : null
      }
    />
  );
}

async function makeDataset(
  model: FailuresModel,
  mode: IFailureMode
): Promise<void> {
  const { trans } = model;
  try {
    const { dataset, added, updated } = await model.addRows(mode.id);
    Notification.success(
      trans.__(
        'The data set %1 has %2 new and %3 updated rows.',
        dataset,
        added,
        updated
      ),
      { autoClose: 5000 }
    );
  } catch (reason) {
    tellFailure(reason, trans);
  }
}

/** Notes on answers: each opens its answer, and moves to another failure mode. */
function Notes(props: {
  model: FailuresModel;
  modes: readonly IFailureMode[];
  answers: readonly INotedAnswer[];
  label: string;
  open: (given: IModeDialog) => void;
}): React.ReactElement {
  const { model, modes, answers, label, open } = props;
  const { trans } = model;
  const move = (answer: INotedAnswer, name: string) => {
    if (name === NEW) {
      open({ notes: [answer], moves: true });
      return;
    }
    void model
      .move(answer.trace_id, name)
      .catch((reason: unknown) => tellFailure(reason, trans));
  };
  return (
    <ul className="gol-Failures-notes" aria-label={label}>
      {answers.map(answer => {
        const own = modes.filter(({ trace_ids }) =>
          trace_ids.includes(answer.trace_id)
        );
        return (
          <li key={answer.trace_id}>
            <Disclosure title={answer.note} tip={answer.note}>
              <Answer model={model} trace={answer.trace_id} />
            </Disclosure>
            <select
              className="gol-Field-control"
              aria-label={trans.__('Failure mode of: %1', answer.note)}
              value={own[0]?.name ?? ''}
              onChange={({ target }) => move(answer, target.value)}
            >
              <option value="">{trans.__('No failure mode')}</option>
              {modes.map(({ id, name }) => (
                <option key={id} value={name}>
                  {name}
                </option>
              ))}
              <option value={NEW}>{trans.__('New failure mode…')}</option>
            </select>
          </li>
        );
      })}
    </ul>
  );
}

/** An answer that is read when it is opened. */
function Answer(props: {
  model: FailuresModel;
  trace: string;
}): React.ReactElement {
  const { model, trace } = props;
  const { trans } = model;
  const [content, setContent] = React.useState<ILabelContent>();
  React.useEffect(() => {
    let isWanted = true;
    model.content(trace).then(
      found => isWanted && setContent(found),
      (reason: unknown) => tellFailure(reason, trans)
    );
    return () => {
      isWanted = false;
    };
  }, [model, trace, trans]);
  return content ? (
    <AnswerContent content={content} trans={trans} />
  ) : (
    <Loading trans={trans} />
  );
}
