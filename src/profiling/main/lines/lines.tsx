import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, EmptyState, useRevision } from '../../../core';
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
        'The report does not record source lines: it has neither %1 markers nor Python stacks. Use %1 in a kernel that runs under Nsight Compute, or %2 with a version that records Python.',
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

function CodeTable(
  props: Lines.IProps & { group: ICodeGroup; basis: Basis; most: number }
): React.ReactElement {
  const { group, basis, trans } = props;
  const name = group.cell ? cellWords(group, trans) : group.file;
  return (
    <section className="gol-Lines-group" aria-label={name}>
      <h3 title={group.file}>
        {name}{' '}
        <span className="gol-Profile-quiet">
          {formatMicroseconds(group.us)}
        </span>
      </h3>
      <div
        className="gol-Profile-scroll"
        role="region"
        aria-label={name}
        tabIndex={0}
      >
        <table className="gol-Lines-table">
          <thead>
            <tr>
              {basis === 'device_us' && (
                <>
                  <th scope="col">{trans.__('Device')}</th>
                  <th scope="col">{trans.__('Forward')}</th>
                  <th scope="col">{trans.__('Backward')}</th>
                </>
              )}
              <th scope="col">{trans.__('CPU')}</th>
              {basis === 'device_us' && (
                <th scope="col">{trans.__('Kernels')}</th>
              )}
              <th scope="col">{trans.__('Line')}</th>
              <th scope="col">{trans.__('Code')}</th>
            </tr>
          </thead>
          <tbody>
            {group.lines.map(line => (
              <CodeRow key={`${line.number}`} {...props} line={line} />
            ))}
          </tbody>
        </table>
      </div>
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

function CodeRow(
  props: Lines.IProps & {
    group: ICodeGroup;
    basis: Basis;
    most: number;
    line: ICodeLine;
  }
): React.ReactElement {
  const { line, basis, most, places, notebook, trans } = props;
  const { time, changed } = line;
  const share = time ? time[basis] / most : 0;
  const figure = (us: number) => (us > 0 ? formatMicroseconds(us) : '');
  const place = time?.place ?? {
    file: props.group.file,
    cell: props.group.cell,
    line: line.number,
    function: '',
    text: '',
    whole_function: false
  };
  const canOpen = places.canOpen(place, notebook);
  const show = () => openPlace({ place, places, notebook, trans });
  return (
    <tr
      className={time ? 'gol-mod-timed' : undefined}
      title={
        time && time.operators.length > 0
          ? trans.__('Most time in: %1', time.operators.join(', '))
          : undefined
      }
      onClick={canOpen ? show : undefined}
    >
      <td className="gol-Lines-heat">
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
      </td>
      {basis === 'device_us' && (
        <>
          <td>{time && figure(forwardOf(time))}</td>
          <td>{time && figure(time.backward_us)}</td>
          <td>{time && figure(time.cpu_us)}</td>
          <td>{time ? time.kernels.toLocaleString() : ''}</td>
        </>
      )}
      <th scope="row">
        {line.number === 0 ? (
          ''
        ) : canOpen ? (
          <button
            type="button"
            className="gol-LinkButton"
            tabIndex={time ? 0 : -1}
            aria-label={trans.__('Show line %1', line.number)}
            onClick={event => {
              event.stopPropagation();
              show();
            }}
          >
            {line.number}
          </button>
        ) : (
          line.number
        )}
      </th>
      <td className="gol-Lines-code">
        <code>{line.text || wholeOf(place, trans)}</code>
        {changed && (
          <span
            className="gol-Lines-changed"
            title={trans.__('Profiled code: %1', time?.place.text ?? '')}
          >
            {trans.__('changed since')}
          </span>
        )}
      </td>
    </tr>
  );
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
