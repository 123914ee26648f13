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

/** The sort order of a grid. */
export interface ISort {
  readonly column: string;
  readonly descending: boolean;
}

/**
 * A table of any length; only visible rows are in the page. Arrow keys move between cells,
 * Tab leaves the table.
 *
 * The only file that imports react-data-grid. `core/ui`'s index leaves it out, so that only pages that use it load it.
 */
export function Grid<R>(props: Grid.IProps<R>): React.ReactElement {
  const { grouped, sort, onSort, element, ...others } = props;
  const grid = React.useRef<DataGridHandle>(null);
  // The grid's own `role` would add a focusable element for whole rows that has no role.
  React.useLayoutEffect(() => {
    const node = grid.current?.element ?? null;
    node?.setAttribute('role', grouped ? 'treegrid' : 'grid');
    if (element) {
      element.current = node;
    }
  }, [grouped]);
  React.useEffect(() => {
    const node = grid.current?.element;
    // The grid itself would move Tab through each cell of each row.
    node?.addEventListener('keydown', keepTab, true);
    return () => node?.removeEventListener('keydown', keepTab, true);
  }, []);
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

function keepTab(event: KeyboardEvent): void {
  if (event.key === 'Tab') {
    event.stopPropagation();
  }
}

export namespace Grid {
  export interface IProps<R> extends Omit<
    DataGridProps<R, unknown, number>,
    'role' | 'sortColumns' | 'onSortColumnsChange' | 'ref'
  > {
    /** Whether rows are in groups that open and close. */
    grouped: boolean;
    sort: readonly ISort[];
    onSort: (sort: readonly ISort[]) => void;
    /** Receives the grid's element at its first layout. */
    element?: React.MutableRefObject<HTMLDivElement | null>;
  }
}
