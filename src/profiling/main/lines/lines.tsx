import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  DataTable,
  EmptyState,
  useRevision
} from '../../../core';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IAttribution, IPlace } from '../../service';
import { DownloadButton } from '../download';
import { openPlace } from '../place-link';
import type { IPlaces } from '../places';
import { cellWords } from '../places';

import type { Basis, ICodeGroup, ICodeLine } from './groups';
import { basisOf, codeGroups, forwardOf } from './groups';

/** The code with the time of each line. */
export function Lines(props: Lines.IProps): React.ReactElement {
  const { attribution, trans } = props;
  if (!attribution || attribution.by === 'none') {
    return <EmptyState text={unknownWords(props)} />;
  }
  if (attribution.lines.length === 0) {
    return (
      <EmptyState
        text={trans.__('No line of code started work on a device.')}
      />
    );
  }
  return <KnownLines {...props} attribution={attribution} />;
}

/** The reason why no lines are known, and how to record them. */
function unknownWords({ measured, trans }: Lines.IProps): string {
  return measured
    ? trans.__(
        'The report does not record source lines: it has neither %1 markers nor Python stacks. Use %1 in a notebook whose kernel runs under Nsight Compute, or %2 with a version that records Python.',
        '%%profile',
        'ncu --call-stack'
      )
    : trans.__(
        'The trace does not record source lines: it has neither %1 markers nor Python stacks. Use %1 in a notebook, or torch.profiler with with_stack=True.',
        '%%profile'
      );
}

export namespace Lines {
  export interface IProps {
    attribution: IAttribution | null;
    /** Whether Nsight Compute measured the profile. */
    measured: boolean;
    places: IPlaces;
    /** The profile's notebook; empty without one. */
    notebook: string;
    /** Show or hide the times in the notebook. */
    onGutter: () => void;
    trans: TranslationBundle;
  }
}

function KnownLines(
  props: Lines.IProps & { attribution: IAttribution }
): React.ReactElement {
  const { attribution, places, notebook, trans } = props;
  const [revision] = useRevision(places.changed);
  const groups = React.useMemo(
    () => codeGroups(attribution, cell => places.source(notebook, cell)),
    [attribution, places, notebook, revision]
  );
  const basis = basisOf(attribution.lines);
  const most = Math.max(
    ...attribution.lines.map(time => time[basis]),
    Number.MIN_VALUE
  );
  const cells = groups.some(({ cell }) => cell);
  const closed = groups.some(({ cell, whole }) => cell && !whole);
  return (
    <div className="gol-Lines">
      <div className="gol-Profile-bar">
        <p>{coverage(attribution, trans)}</p>
        {cells && notebook && closed && (
          <ActionButton
            label={trans.__('Open the notebook')}
            caption={trans.__(
              'Open %1 to see all lines of its cells',
              notebook
            )}
            onClick={() => void places.openNotebook(notebook)}
          />
        )}
        {cells && notebook && (
          <ActionButton
            label={trans.__('Times in the notebook')}
            caption={trans.__(
              'Show or hide the time of each line next to the code in %1',
              notebook
            )}
            onClick={props.onGutter}
          />
        )}
        <DownloadButton
          name={trans.__('lines')}
          columns={[
            'file',
            'cell',
            'line',
            'function',
            'text',
            'device_us',
            'backward_us',
            'cpu_us',
            'kernels'
          ]}
          rows={() =>
            attribution.lines.map(({ place, ...time }) => [
              place.file,
              place.cell,
              place.line,
              place.function,
              place.text,
              time.device_us,
              time.backward_us,
              time.cpu_us,
              time.kernels
            ])
          }
          trans={trans}
        />
      </div>
      {groups.map(group => (
        <CodeTable
          key={group.key}
          {...props}
          group={group}
          basis={basis}
          most={most}
        />
      ))}
      {attribution.unattributed.length > 0 && (
        <details className="gol-Lines-rest">
          <summary>
            {trans.__(
              'Without a line: %1',
              formatMicroseconds(
                attribution.device_us - attribution.attributed_us
              )
            )}
          </summary>
          <ul>
            {attribution.unattributed.map(({ name, device_us }) => (
              <li key={name}>
                <code>{name}</code> {formatMicroseconds(device_us)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function CodeTable(props: ICodeTable): React.ReactElement {
  const { group, trans } = props;
  const name = group.cell ? cellWords(group, trans) : group.file;
  return (
    <section className="gol-Lines-group" aria-label={name}>
      <h3 title={group.file}>
        {name}{' '}
        <span className="gol-Profile-quiet">
          {formatMicroseconds(group.us)}
        </span>
      </h3>
      <DataTable
        caption={name}
        className="gol-Lines-table"
        region="gol-Profile-scroll"
        columns={codeColumns(props)}
        rows={group.lines}
        rowKey={({ number }) => String(number)}
        rowClass={({ time }) => (time ? 'gol-mod-timed' : undefined)}
        rowProps={line => ({
          title:
            line.time && line.time.operators.length > 0
              ? trans.__('Most time in: %1', line.time.operators.join(', '))
              : undefined,
          onClick: canOpen(props, line) ? () => show(props, line) : undefined
        })}
      />
      {!group.whole && (
        <p className="gol-Profile-quiet">
          {group.cell
            ? trans.__(
                'Only lines that took time are shown, as they were when profiled. Open the notebook to see the whole cell.'
              )
            : trans.__('Only lines that took time are shown.')}
        </p>
      )}
    </section>
  );
}

type ICodeTable = Lines.IProps & {
  group: ICodeGroup;
  basis: Basis;
  most: number;
};

/** The place of a line, also where no time was measured there. */
function placeOf({ group }: ICodeTable, { time, number }: ICodeLine): IPlace {
  return (
    time?.place ?? {
      file: group.file,
      cell: group.cell,
      line: number,
      function: '',
      text: '',
      whole_function: false
    }
  );
}

function canOpen(table: ICodeTable, line: ICodeLine): boolean {
  return table.places.canOpen(placeOf(table, line), table.notebook);
}

function show(table: ICodeTable, line: ICodeLine): void {
  const { places, notebook, trans } = table;
  openPlace({ place: placeOf(table, line), places, notebook, trans });
}

function codeColumns(table: ICodeTable): DataTable.IColumn<ICodeLine>[] {
  const { basis, most, trans } = table;
  const figure = (us: number | undefined) =>
    us !== undefined && us > 0 ? formatMicroseconds(us) : '';
  const isDevice = basis === 'device_us';
  const heat: DataTable.IColumn<ICodeLine> = {
    id: 'time',
    title: isDevice ? trans.__('Device') : trans.__('CPU'),
    cellClass: () => 'gol-Lines-heat',
    cell: ({ time }) => {
      const share = time ? time[basis] / most : 0;
      return (
        <>
          <span
            className="gol-Lines-mark"
            aria-hidden="true"
            style={{
              width: `${100 * share}%`,
              opacity: share > 0 ? 0.2 + 0.5 * share : 0
            }}
          />
          <span className="gol-Lines-figure">
            {time ? formatMicroseconds(time[basis]) : ''}
          </span>
        </>
      );
    }
  };
  const ofDevice: DataTable.IColumn<ICodeLine>[] = [
    {
      id: 'forward',
      title: trans.__('Forward'),
      cell: ({ time }) => time && figure(forwardOf(time))
    },
    {
      id: 'backward',
      title: trans.__('Backward'),
      cell: ({ time }) => figure(time?.backward_us)
    },
    {
      id: 'cpu',
      title: trans.__('CPU'),
      cell: ({ time }) => figure(time?.cpu_us)
    },
    {
      id: 'kernels',
      title: trans.__('GPU kernels'),
      cell: ({ time }) => (time ? time.kernels.toLocaleString() : '')
    }
  ];
  return [
    heat,
    ...(isDevice ? ofDevice : []),
    {
      id: 'line',
      title: trans.__('Line'),
      isHead: true,
      cell: line =>
        line.number === 0 ? (
          ''
        ) : canOpen(table, line) ? (
          <button
            type="button"
            className="gol-LinkButton"
            tabIndex={line.time ? 0 : -1}
            aria-label={trans.__('Show line %1', line.number)}
            onClick={event => {
              event.stopPropagation();
              show(table, line);
            }}
          >
            {line.number}
          </button>
        ) : (
          line.number
        )
    },
    {
      id: 'code',
      title: trans.__('Code'),
      cellClass: () => 'gol-Lines-code',
      cell: line => (
        <>
          <code>{line.text || wholeOf(placeOf(table, line), trans)}</code>
          {line.changed && (
            <span
              className="gol-Lines-changed"
              title={trans.__('Profiled code: %1', line.time?.place.text ?? '')}
            >
              {trans.__('changed since')}
            </span>
          )}
        </>
      )
    }
  ];
}

/** The text for a line without its own text. */
function wholeOf(place: IPlace, trans: TranslationBundle): string {
  if (place.line === 0) {
    return trans.__('(unknown line)');
  }
  return place.whole_function
    ? trans.__('(whole cell)', place.function || '<module>')
    : '';
}

/** The share of time with a line, and the source of the lines. */
function coverage(attribution: IAttribution, trans: TranslationBundle): string {
  const by =
    attribution.by === 'markers'
      ? trans.__('%1 markers', '%%profile')
      : trans.__('Python stacks');
  if (attribution.device_us === 0) {
    return trans.__(
      'Nothing ran on a device: times are CPU times of operators. Lines come from %1.',
      by
    );
  }
  return trans.__(
    '%1 of %2 device time has a source line (%3; forward pass: %4). Lines come from %5.',
    formatMicroseconds(attribution.attributed_us),
    formatMicroseconds(attribution.device_us),
    formatShare(attribution.attributed_us, attribution.device_us),
    attribution.forward_us > 0
      ? formatShare(attribution.forward_attributed_us, attribution.forward_us)
      : '–',
    by
  );
}
