import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ActionButton } from '../../../core';
import type { IBoard } from '../cards';
import { MOST_CURVES } from '../cards';
import { valueText } from '../../../core/charts/axes';
import type { ChartsModel } from '../model';
import type { IAxis } from '../service';

/** Offered smoothing: weights, and numbers of points. */
const WEIGHTS = [0.6, 0.8, 0.9, 0.95, 0.99];
const WINDOWS = [5, 11, 51, 101];

/**
 * Settings of all curves, and the conditions that the charts added to the
 * table's query.
 */
export function Toolbar(props: Toolbar.IProps): React.ReactElement {
  const { model, board, trans } = props;
  const { zoom, conditions } = model;
  const { kind = 'none', amount = 0 } = board.smoothing;
  return (
    <div className="gol-Charts-head">
      <div
        className="gol-Charts-toolbar"
        role="toolbar"
        aria-label={trans.__('Charts')}
      >
        <label>
          {trans.__('X axis')}
          <select
            value={board.x}
            onChange={event =>
              model.setBoard({ x: event.target.value as IAxis })
            }
          >
            <option value="step">{trans.__('Step')}</option>
            <option value="relative">{trans.__('Since the start')}</option>
            <option value="time">{trans.__('Time')}</option>
          </select>
        </label>
        <label>
          {trans.__('Smoothing')}
          <select
            value={`${kind}:${amount}`}
            onChange={event => {
              const [chosen, given] = event.target.value.split(':');
              model.setBoard({
                smoothing: {
                  kind: chosen as 'none' | 'ema' | 'mean',
                  amount: Number(given)
                }
              });
            }}
          >
            <option value="none:0">{trans.__('None')}</option>
            {WEIGHTS.map(weight => (
              <option key={weight} value={`ema:${weight}`}>
                {trans.__('Moving average %1', weight)}
              </option>
            ))}
            {WINDOWS.map(points => (
              <option key={points} value={`mean:${points}`}>
                {trans.__('Mean of %1 points', points)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {trans.__('Curves of')}
          <select
            value={board.selectedOnly ? 'selected' : board.most}
            onChange={event =>
              model.setBoard(
                event.target.value === 'selected'
                  ? { selectedOnly: true }
                  : { selectedOnly: false, most: Number(event.target.value) }
              )
            }
          >
            {MOST_CURVES.map(most => (
              <option key={most} value={most}>
                {trans.__('the first %1 runs', most)}
              </option>
            ))}
            <option value="selected">{trans.__('the selected runs')}</option>
          </select>
        </label>
        <span className="gol-Charts-space" />
        <ActionButton label={trans.__('Add a card…')} onClick={props.onAdd} />
        {board.cards && (
          <ActionButton
            label={trans.__('Default cards')}
            caption={trans.__('Show the cards that suit the present runs')}
            onClick={() => model.setBoard({ cards: null })}
          />
        )}
      </div>
      {(zoom || conditions.length > 0) && (
        <ul className="gol-Charts-chips" aria-label={trans.__('Filters')}>
          {zoom && (
            <Chip
              text={trans.__(
                'Curves from %1 to %2',
                edge(board.x, zoom[0]),
                edge(board.x, zoom[1])
              )}
              label={trans.__('Show the whole curves')}
              onRemove={() => model.setZoom(null)}
            />
          )}
          {conditions.map(text => (
            <Chip
              key={text}
              text={text}
              label={trans.__('Remove %1 from the query', text)}
              onRemove={() => model.widen(text)}
            />
          ))}
        </ul>
      )}
    </div>
  );
}

export namespace Toolbar {
  export interface IProps {
    model: ChartsModel;
    board: IBoard;
    onAdd: () => void;
    trans: TranslationBundle;
  }
}

function edge(x: IAxis, value: number): string {
  return valueText(
    x === 'time' ? 'time' : x === 'relative' ? 'duration' : 'linear',
    x === 'step' ? Math.round(value) : value
  );
}

function Chip(props: {
  text: string;
  label: string;
  onRemove: () => void;
}): React.ReactElement {
  return (
    <li className="gol-Charts-chip">
      <span title={props.text}>{props.text}</span>
      <button
        type="button"
        aria-label={props.label}
        title={props.label}
        onClick={props.onRemove}
      >
        <closeIcon.react tag="span" className="gol-Icon" />
      </button>
    </li>
  );
}
