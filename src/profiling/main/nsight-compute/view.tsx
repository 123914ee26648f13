import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { EmptyState } from '../../../core';
import type { ISort } from '../../../core/ui/grid';
import type {
  IMeasuredKernel,
  IMeasurement,
  IProfileSummary
} from '../../service';
import { DownloadButton } from '../download';
import type { IPlaces } from '../places';
import { SumsGrid } from '../tables/grid';
import { arranged } from '../tables/rows';

import { measuredColumns } from './columns';
import { Kernel } from './kernel';
import { MeasuredKeys } from './keys';
import { keyOf } from './sums';

/**
 * Nsight Compute's measurement: all kernels, and below them the selected one.
 */
export function MeasuredView(props: MeasuredView.IProps): React.ReactElement {
  const { summary, measured, places, notebook, trans } = props;
  const { kernels } = measured;
  const [filter, setFilter] = React.useState('');
  const [selected, setSelected] = React.useState('');
  const [sort, setSort] = React.useState<ISort>({
    column: 'total_us',
    descending: true
  });
  const columns = React.useMemo(
    () =>
      measuredColumns({
        measured,
        ranks: summary.ranks,
        places,
        notebook,
        trans
      }),
    [measured, summary.ranks, places, notebook, trans]
  );
  const shown = React.useMemo(
    () => arranged({ columns, rows: kernels, filter, sort }),
    [columns, kernels, filter, sort]
  );
  const rows = shown.flatMap(each => (each.kind === 'row' ? [each.row] : []));
  // If the filter hides the selected kernel, the first visible one is shown.
  const kernel =
    rows.find(each => keyOf(each) === selected) ??
    (rows[0] as IMeasuredKernel | undefined);
  const select = React.useCallback(
    (row: IMeasuredKernel) => setSelected(keyOf(row)),
    []
  );
  if (kernels.length === 0) {
    return (
      <EmptyState
        text={trans.__(
          'The report has no GPU kernels. Check the kernel filter of ncu, and that the program launched a GPU kernel.'
        )}
      />
    );
  }
  return (
    <div className="gol-Measured">
      <MeasuredKeys
        measured={measured}
        devices={summary.devices}
        trans={trans}
      />
      {measured.note && <p className="gol-Profile-quiet">{measured.note}</p>}
      <div className="gol-Profile-bar">
        <input
          type="search"
          className="gol-Tables-filter"
          aria-label={trans.__('Filter')}
          placeholder={trans.__('GPU kernel, line, bound, rule')}
          value={filter}
          onChange={event => setFilter(event.target.value)}
        />
        <span className="gol-Profile-quiet" role="status">
          {rows.length === kernels.length
            ? trans._n('%1 GPU kernel', '%1 GPU kernels', rows.length)
            : trans.__('%1 of %2 GPU kernels', rows.length, kernels.length)}
          {measured.more_kernels > 0 && `; ${moreWords(measured, trans)}`}
        </span>
        <DownloadButton
          name={trans.__('Measured GPU kernels')}
          columns={columns.map(({ id }) => id)}
          rows={() => rows.map(row => columns.map(({ value }) => value(row)))}
          trans={trans}
        />
      </div>
      <div
        className="gol-Measured-table"
        style={
          { '--gol-rows': Math.max(rows.length, 1) } as React.CSSProperties
        }
      >
        <SumsGrid
          label={trans.__('Measured GPU kernels')}
          columns={columns}
          shown={shown}
          sort={sort}
          grouped={false}
          onSort={setSort}
          onToggle={() => undefined}
          selected={kernel}
          onSelect={select}
          trans={trans}
        />
      </div>
      {kernel && (
        <Kernel
          kernel={kernel}
          total_us={measured.total_us}
          ranks={summary.ranks}
          devices={summary.devices}
          places={places}
          notebook={notebook}
          ask={props.ask}
          seen={props.seen}
          trans={trans}
        />
      )}
    </div>
  );
}

/** The note on kernels that took less time than all listed ones. */
function moreWords(
  { more_kernels, kernels }: IMeasurement,
  trans: TranslationBundle
): string {
  return trans._n(
    '%2 with most time are shown, %1 more is not',
    '%2 with most time are shown, %1 more are not',
    more_kernels,
    kernels.length
  );
}

export namespace MeasuredView {
  export interface IProps extends Pick<Kernel.IProps, 'ask' | 'seen'> {
    summary: Pick<IProfileSummary, 'devices' | 'ranks'>;
    measured: IMeasurement;
    places: IPlaces;
    /** The profile's notebook; empty without one. */
    notebook: string;
    trans: TranslationBundle;
  }
}
