import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  DownState,
  EmptyState,
  useRevision
} from '../../../core';
import { isOfQuery } from '../../table/query-text';
import { runColors } from '../../table/run-color';
import { runLooks } from '../colors';
import type { ChartsModel } from '../model';
import type { IDrawnRun } from '../pictures/curves';

import { Card, names } from './card';
import { CardForm } from './card-form';
import { Toolbar } from './toolbar';

/** Opacity of runs that are not selected while others are. */
const BEHIND = 0.2;

/** Charts of the table's runs. */
export function Charts(props: Charts.IProps): React.ReactElement {
  const { model, trans } = props;
  useRevision(model.changed);
  const [chosen] = useRevision(model.table.selection.changed);
  const [colors] = useRevision(runColors.changed);
  const [adding, setAdding] = React.useState(false);
  const { board, cards, curveRuns, error } = model;
  const { selection, windows } = model.table;
  const some = selection.count(windows.snapshot.rows.length) > 0;
  const all = React.useMemo<IDrawnRun[]>(() => {
    const looks = runLooks(curveRuns.ids);
    const labels = names(curveRuns);
    return curveRuns.ids.map((id, at) => ({
      id,
      name: labels[at],
      ...looks.get(id)!,
      strength: some && !selection.has(id) ? BEHIND : 1
    }));
  }, [curveRuns, chosen, colors]);
  const shown = React.useMemo(
    () => all.filter(({ id }) => !model.hidden.has(id)),
    [all, model.hidden]
  );
  const hasCurves = cards.some(({ kind }) => kind === 'curves');
  return (
    <div className="gol-Charts">
      <Toolbar
        model={model}
        board={board}
        onAdd={() => setAdding(true)}
        trans={trans}
      />
      {error && isOfQuery(error) && (
        <Callout tone="error" title={error.message}>
          {error.hint}
        </Callout>
      )}
      {error && !isOfQuery(error) && (
        <DownState
          what={trans.__('The charts cannot be read.')}
          error={error}
          busy={false}
          trans={trans}
          onRetry={() => model.refresh()}
        />
      )}
      {adding && (
        <CardForm
          model={model}
          card={null}
          onDone={card => {
            setAdding(false);
            model.setCard(card);
          }}
          onCancel={() => setAdding(false)}
          trans={trans}
        />
      )}
      {hasCurves && all.length > 0 && (
        <Legend runs={all} model={model} onOpen={props.onOpen} trans={trans} />
      )}
      {!model.isLoaded && !error && (
        <div className="gol-Loading" role="status">
          <span className="gol-Loading-bar" aria-hidden="true" />
          <span className="gol-VisuallyHidden">{trans.__('Loading…')}</span>
        </div>
      )}
      {model.isLoaded && cards.length === 0 && !adding && (
        <EmptyState
          text={
            board.cards
              ? trans.__('No cards yet.')
              : trans.__('Charts appear here when runs log metrics.')
          }
          actions={[
            { label: trans.__('Add a card'), onClick: () => setAdding(true) }
          ]}
        />
      )}
      <div className="gol-Charts-board">
        {cards.map((card, place) => (
          <Card
            key={card.id}
            card={card}
            place={place}
            model={model}
            runs={shown}
            selection={chosen}
            colors={colors}
            onOpen={props.onOpen}
            onInsert={props.onInsert}
            trans={trans}
          />
        ))}
      </div>
    </div>
  );
}

export namespace Charts {
  export interface IProps {
    model: ChartsModel;
    /** Show a run beside the table. */
    onOpen: (runId: string) => void;
    onInsert: (code: string) => void | Promise<void>;
    trans: TranslationBundle;
  }
}

/** The runs with curves: their look, hidden or shown. */
function Legend(props: {
  runs: readonly IDrawnRun[];
  model: ChartsModel;
  onOpen: (runId: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { runs, model, onOpen, trans } = props;
  const { hidden, curveRuns } = model;
  return (
    <section className="gol-Charts-legend" aria-label={trans.__('Runs')}>
      <ul aria-label={trans.__('Runs')}>
        {runs.map(({ id, name, color, dash }) => {
          const isHidden = hidden.has(id);
          const what = isHidden
            ? trans.__('Show %1', name)
            : trans.__('Hide %1', name);
          return (
            <li key={id} className={isHidden ? 'gol-mod-hidden' : ''}>
              <button
                type="button"
                aria-label={what}
                aria-pressed={!isHidden}
                title={what}
                onClick={() => model.toggleHidden(id)}
              >
                <svg width="18" height="8" aria-hidden="true">
                  <line
                    x1="0"
                    x2="18"
                    y1="4"
                    y2="4"
                    stroke={color}
                    strokeWidth="3"
                    strokeDasharray={dash.join(' ') || undefined}
                  />
                </svg>
              </button>
              <button
                type="button"
                className="gol-Charts-run"
                title={trans.__('Show the details of %1', name)}
                onClick={() => onOpen(id)}
              >
                {name}
              </button>
            </li>
          );
        })}
      </ul>
      {curveRuns.matched > runs.length && (
        <span className="gol-Charts-more">
          {trans.__(
            'The first %1 of %2 runs, in the order of the table.',
            runs.length,
            curveRuns.matched.toLocaleString()
          )}
        </span>
      )}
      {hidden.size > 0 && (
        <ActionButton
          label={trans.__('Show all')}
          onClick={() => [...hidden].forEach(id => model.toggleHidden(id))}
        />
      )}
    </section>
  );
}
