import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Form } from '../../../core';
import type { ICard } from '../cards';
import { metricsOf } from '../cards';
import type { ChartsModel } from '../model';

import { kindWord } from './messages';

const KINDS: readonly ICard['kind'][] = [
  'curves',
  'scatter',
  'bar',
  'parallel',
  'importance'
];
/** Columns that are proposed. */
const MOST_PROPOSED = 1000;

interface IDraft {
  kind: ICard['kind'];
  metric: string;
  x: string;
  y: string;
  color: string;
  by: string;
  columns: string;
  logX: boolean;
  logY: boolean;
}

/** The form that describes a card. */
export function CardForm(props: CardForm.IProps): React.ReactElement {
  const { model, card, trans } = props;
  const id = React.useId();
  const [draft, setDraft] = React.useState<IDraft>(() => draftOf(card, model));
  const set = (part: Partial<IDraft>) => setDraft({ ...draft, ...part });
  const names = new Set(model.columns.map(({ column }) => column));
  const made = cardOf(draft, card);
  const unknown = made ? unknownNames(made, names) : [];
  const columnField = (
    label: string,
    name: 'x' | 'y' | 'color' | 'by',
    optional = false
  ) => (
    <label>
      <span>{label}</span>
      <input
        list={`${id}-columns`}
        value={draft[name]}
        required={!optional}
        onChange={event => set({ [name]: event.target.value })}
      />
    </label>
  );
  const check = (label: string, name: 'logX' | 'logY') => (
    <label className="gol-CardForm-check">
      <input
        type="checkbox"
        checked={draft[name]}
        onChange={event => set({ [name]: event.target.checked })}
      />
      {label}
    </label>
  );
  const { kind } = draft;
  return (
    <Form
      className="gol-CardForm"
      aria-label={card ? trans.__('Edit the card') : trans.__('Add a card')}
      onSubmit={() => {
        if (made && unknown.length === 0) {
          props.onDone(made);
        }
      }}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          props.onCancel();
        }
      }}
    >
      <datalist id={`${id}-columns`}>
        {model.columns.slice(0, MOST_PROPOSED).map(({ column }) => (
          <option key={column} value={column} />
        ))}
      </datalist>
      <datalist id={`${id}-metrics`}>
        {metricsOf(model.columns).map(metric => (
          <option key={metric} value={metric} />
        ))}
      </datalist>
      {!card && (
        <label>
          <span>{trans.__('Kind')}</span>
          <select
            value={kind}
            autoFocus
            onChange={event =>
              set({ kind: event.target.value as ICard['kind'] })
            }
          >
            {KINDS.map(each => (
              <option key={each} value={each}>
                {kindWord(each, trans)}
              </option>
            ))}
          </select>
        </label>
      )}
      {(kind === 'curves' || kind === 'importance') && (
        <label>
          <span>{trans.__('Metric')}</span>
          <input
            list={`${id}-metrics`}
            value={draft.metric}
            required
            onChange={event => set({ metric: event.target.value })}
          />
        </label>
      )}
      {kind === 'scatter' && (
        <>
          {columnField(trans.__('X axis'), 'x')}
          {columnField(trans.__('Y axis'), 'y')}
          {columnField(trans.__('Colour (optional)'), 'color', true)}
        </>
      )}
      {kind === 'bar' && (
        <>
          {columnField(trans.__('Value'), 'y')}
          {columnField(trans.__('Mean by (optional)'), 'by', true)}
        </>
      )}
      {kind === 'parallel' && (
        <label>
          <span>
            {trans.__('Axes, one on each line; the last one sets the colours')}
          </span>
          <textarea
            rows={5}
            value={draft.columns}
            onChange={event => set({ columns: event.target.value })}
          />
        </label>
      )}
      {(kind === 'curves' || kind === 'scatter') && (
        <div>
          {check(trans.__('Log X axis'), 'logX')}
          {check(trans.__('Log Y axis'), 'logY')}
        </div>
      )}
      {unknown.length > 0 && (
        <p role="alert" className="gol-CardForm-problem">
          {trans.__('No run has %1.', unknown.join(', '))}
        </p>
      )}
      <div className="gol-CardForm-actions">
        <button
          type="submit"
          className="gol-Button jp-mod-styled jp-mod-accept"
          disabled={!made || unknown.length > 0}
        >
          {card ? trans.__('Apply') : trans.__('Add')}
        </button>
        <ActionButton label={trans.__('Cancel')} onClick={props.onCancel} />
      </div>
    </Form>
  );
}

export namespace CardForm {
  export interface IProps {
    model: ChartsModel;
    /** Null for a new card. */
    card: ICard | null;
    onDone: (card: ICard) => void;
    onCancel: () => void;
    trans: TranslationBundle;
  }
}

function draftOf(card: ICard | null, model: ChartsModel): IDraft {
  const [metric = ''] = metricsOf(model.columns);
  const goal = metric && `metrics.${metric}`;
  const param =
    model.columns.find(
      ({ column, runs }) => runs > 0 && column.startsWith('params.')
    )?.column ?? '';
  const first: IDraft = {
    kind: 'curves',
    metric,
    x: param,
    y: goal,
    color: '',
    by: '',
    columns: [param, goal].join('\n'),
    logX: false,
    logY: false
  };
  if (!card) {
    return first;
  }
  const { kind } = card;
  switch (kind) {
    case 'curves':
      return {
        ...first,
        kind,
        metric: card.metric,
        logX: card.logX ?? false,
        logY: card.logY ?? false
      };
    case 'scatter':
      return {
        ...first,
        kind,
        x: card.x,
        y: card.y,
        color: card.color ?? '',
        logX: card.logX ?? false,
        logY: card.logY ?? false
      };
    case 'bar':
      return { ...first, kind, y: card.value, by: card.by };
    case 'parallel':
      return { ...first, kind, columns: card.columns.join('\n') };
    case 'importance':
      return { ...first, kind, metric: card.metric };
  }
}

/** Return the described card; null while something is missing. */
function cardOf(draft: IDraft, old: ICard | null): ICard | null {
  const base = {
    id: old?.id ?? `card-${Date.now().toString(36)}`,
    ...(old?.wide ? { wide: true } : {})
  };
  const log = { logX: draft.logX, logY: draft.logY };
  const { kind, metric, x, y, color, by } = draft;
  switch (kind) {
    case 'curves':
      return metric ? { kind, ...base, metric, ...log } : null;
    case 'scatter':
      return x && y
        ? { kind, ...base, x, y, ...(color ? { color } : {}), ...log }
        : null;
    case 'bar':
      return y ? { kind, ...base, value: y, by } : null;
    case 'parallel': {
      const columns = draft.columns
        .split('\n')
        .map(each => each.trim())
        .filter(Boolean);
      return columns.length > 1 ? { kind, ...base, columns, wide: true } : null;
    }
    case 'importance':
      return metric ? { kind, ...base, metric } : null;
  }
}

function unknownNames(card: ICard, names: ReadonlySet<string>): string[] {
  const used =
    card.kind === 'curves' || card.kind === 'importance'
      ? [`metrics.${card.metric}`]
      : card.kind === 'scatter'
        ? [card.x, card.y, card.color ?? '']
        : card.kind === 'bar'
          ? [card.value, card.by]
          : card.columns;
  return used.filter(name => name && !names.has(name));
}
