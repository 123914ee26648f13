import * as React from 'react';
import type { DataGridHandle, DataGridProps } from 'react-data-grid';
import ReactDataGrid, { Row as GridRow } from 'react-data-grid';
import 'react-data-grid/lib/styles.css';

export { GridRow };
export type {
  CellKeyboardEvent,
  CellKeyDownArgs,
  Column as GridColumn,
  RenderRowProps
} from 'react-data-grid';

/** What a grid is ordered by. */
export interface ISort {
  readonly column: string;
  readonly descending: boolean;
}

/**
 * A table of any length, of which the rows that are seen are in the page. Arrows go from cell to cell.
 *
 * The only file that knows react-data-grid. It is not in `core/ui`'s index, so that pages that need it bring it.
 */
export function Grid<R>(props: Grid.IProps<R>): React.ReactElement {
  const { grouped, sort, onSort, element, ...others } = props;
  const grid = React.useRef<DataGridHandle>(null);
  // Not the grid's own `role`: it would add an element that takes the focus for whole rows
  // and has no role itself.
  React.useLayoutEffect(() => {
    const node = grid.current?.element ?? null;
    node?.setAttribute('role', grouped ? 'treegrid' : 'grid');
    if (element) {
      element.current = node;
    }
  }, [grouped]);
  return (
    <ReactDataGrid
      {...others}
      ref={grid}
      sortColumns={sort.map(({ column, descending }) => ({
        columnKey: column,
        direction: descending ? 'DESC' : 'ASC'
      }))}
      onSortColumnsChange={columns =>
        onSort(
          columns.map(({ columnKey, direction }) => ({
            column: columnKey,
            descending: direction === 'DESC'
          }))
        )
      }
    />
  );
}

export namespace Grid {
  export interface IProps<R> extends Omit<
    DataGridProps<R, unknown, number>,
    'role' | 'sortColumns' | 'onSortColumnsChange' | 'ref'
  > {
    /** Whether rows lie in groups that open and close. */
    grouped: boolean;
    sort: readonly ISort[];
    onSort: (sort: readonly ISort[]) => void;
    /** Takes the element of the grid, from its first layout on. */
    element?: React.MutableRefObject<HTMLDivElement | null>;
  }
}
