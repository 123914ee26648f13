import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { DataTable } from '../../../core';
import type { ISort } from '../../../core/ui/grid';
import type { IDifference, IFigure } from '../../service';

import {
  differenceText,
  figureWord,
  knownText,
  relative,
  signed
} from './messages';

interface IFigureColumn extends DataTable.IColumn<IFigure> {
  /** The value for sorting; null is not known and comes last. */
  readonly value: (figure: IFigure) => number | string | null;
  /**
   * Values with the same unit stay together, because different units have no
   * order.
   */
  readonly byUnit: boolean;
}

/** Total figures of two profiles, and the problems of each. */
export function Figures(props: {
  difference: IDifference;
  trans: TranslationBundle;
}): React.ReactElement {
  const { difference, trans } = props;
  // The engine's order until a head is clicked: most important first.
  const [sort, setSort] = React.useState<ISort | null>(null);
  const columns = React.useMemo(() => figureColumns(trans), [trans]);
  const figures = sorted(difference.figures, columns, sort);
  const advice: [string, string[]][] = [
    [trans.__('Problems solved'), difference.advice_gone],
    [trans.__('New problems'), difference.advice_new],
    [trans.__('Problems that remain'), difference.advice_kept]
  ];
  return (
    <>
      <DataTable
        caption={trans.__('Figures')}
        className="gol-Profile-table"
        region="gol-Profile-scroll"
        columns={columns}
        rows={figures}
        rowKey={({ code }) => code}
        sort={sort ?? undefined}
        onSort={setSort}
      />
      {advice.map(
        ([title, codes]) =>
          codes.length > 0 && (
            <p key={title} className="gol-Difference-advice">
              {title}:{' '}
              {codes
                .map(code => difference.advice_titles[code] ?? code)
                .join('; ')}
            </p>
          )
      )}
    </>
  );
}

function figureColumns(trans: TranslationBundle): IFigureColumn[] {
  return [
    {
      id: 'figure',
      title: trans.__('Figure'),
      isHead: true,
      cell: ({ code }) => figureWord(code, trans),
      value: ({ code }) => figureWord(code, trans),
      byUnit: false
    },
    {
      id: 'before',
      title: trans.__('Before'),
      numeric: true,
      cell: ({ before, unit, covered_before }) =>
        knownText(before, unit, covered_before, trans),
      value: ({ before }) => before,
      byUnit: true
    },
    {
      id: 'after',
      title: trans.__('After'),
      numeric: true,
      cell: ({ after, unit, covered_after }) =>
        knownText(after, unit, covered_after, trans),
      value: ({ after }) => after,
      byUnit: true
    },
    {
      id: 'change',
      title: trans.__('Change'),
      numeric: true,
      cell: ({ before, after, unit }) =>
        signed(after - before, size => differenceText(size, unit, trans)),
      value: ({ before, after }) => after - before,
      byUnit: true
    },
    {
      id: 'relative',
      title: trans.__('Relative'),
      numeric: true,
      cell: ({ before, after }) => relative(before, after),
      value: ({ before, after }) => (before > 0 ? after / before : null),
      byUnit: false
    }
  ];
}

function sorted(
  figures: readonly IFigure[],
  columns: readonly IFigureColumn[],
  sort: ISort | null
): readonly IFigure[] {
  const column = columns.find(({ id }) => id === sort?.column);
  if (!sort || !column) {
    return figures;
  }
  const units = figures.map(({ unit }) => unit);
  return [...figures].sort((one, other) => {
    const apart = units.indexOf(one.unit) - units.indexOf(other.unit);
    if (column.byUnit && apart !== 0) {
      return apart;
    }
    const [left, right] = [column.value(one), column.value(other)];
    if (left === null || right === null) {
      return left === right ? 0 : left === null ? 1 : -1;
    }
    const order =
      typeof left === 'number' && typeof right === 'number'
        ? left - right
        : String(left).localeCompare(String(right));
    return sort.descending ? -order : order;
  });
}
