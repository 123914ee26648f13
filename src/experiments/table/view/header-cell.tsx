import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IScale } from '../color-scales';
import { columnLabel, groupOfColumn, groupWord } from '../column-messages';

import { heatAt, scaleWords } from './cells';

/** A column's name, its sort, its menu, and the meaning of its colours. */
export function HeaderCell(props: HeaderCell.IProps): React.ReactElement {
  const { column, direction, priority, scale, trans } = props;
  const label = columnLabel(column, trans);
  const word = groupWord(groupOfColumn(column), trans);
  return (
    <span className="gol-RunTable-head" data-column={column}>
      <span
        className="gol-RunTable-text"
        title={
          word
            ? trans.__(
                '%1 (%2)\nClick to sort. Shift-click to add to the sort.',
                label,
                word
              )
            : trans.__(
                '%1\nClick to sort. Shift-click to add to the sort.',
                label
              )
        }
      >
        {label}
        {word && <span className="gol-VisuallyHidden">{` ${word}`}</span>}
      </span>
      {direction && (
        <span className="gol-RunTable-sort" aria-hidden="true">
          {direction === 'ASC' ? '↑' : '↓'}
          {priority !== undefined && <sub>{priority}</sub>}
        </span>
      )}
      <button
        type="button"
        className="gol-RunTable-menu"
        tabIndex={-1}
        aria-hidden="true"
        title={trans.__('Column menu (Alt Arrow Down)')}
        onClick={event => {
          event.stopPropagation();
          const { left, bottom } = event.currentTarget.getBoundingClientRect();
          props.onMenu(left, bottom);
        }}
      >
        <caretDownIcon.react tag="span" className="gol-Icon" />
      </button>
      {props.colored && scale && (
        <span
          className="gol-RunTable-scale"
          role="img"
          title={scaleWords(column, scale, trans)}
          aria-label={scaleWords(column, scale, trans)}
          style={{
            background: `linear-gradient(to right, ${heatAt(0)}, ${heatAt(1)})`
          }}
        />
      )}
    </span>
  );
}

export namespace HeaderCell {
  export interface IProps {
    column: string;
    direction: 'ASC' | 'DESC' | undefined;
    /** Its place in the sort, if there are several. */
    priority: number | undefined;
    colored: boolean;
    scale: IScale | null;
    /** Open the menu at a point of the page. */
    onMenu: (left: number, top: number) => void;
    trans: TranslationBundle;
  }
}
