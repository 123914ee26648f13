import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Resource } from '../../../core';
import {
  ActionButton,
  Callout,
  EmptyState,
  ResourceView,
  Tabs
} from '../../../core';
import { formatNumber } from '../../../core/format';
import type { ISort } from '../../../core/ui/grid';
import { formatMicroseconds } from '../../figures';
import type { IChange, IDifference, IProfile } from '../../service';
import { DownloadButton } from '../download';
import { placeWords } from '../places';
import { SumsGrid } from '../tables/grid';
import { OneTable } from '../tables/one-table';
import { arranged } from '../tables/rows';
import type { IColumn } from '../tables/rows';

import { Figures } from './figures';
import { measuredChangeColumns, measuredChanges } from './nsight-compute';
import { basis, launchWords, signed, stateWord } from './messages';

import '../../../../style/core/tabs.css';
import '../../../../style/profiling/views.css';
import '../../../../style/profiling/overview.css';
import '../../../../style/profiling/parts.css';

/** Two profiles and their difference. */
export interface ICompared {
  readonly before: IProfile;
  readonly after: IProfile;
  readonly difference: IDifference;
}

/** The difference of two profiles, by figure, operator, kernel and line. */
export function ProfileDifference(
  props: ProfileDifference.IProps
): React.ReactElement {
  const { resource, trans } = props;
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={trans.__('These profiles cannot be compared.')}
      keepMounted
      empty={null}
    >
      {compared => <Compared {...props} compared={compared} />}
    </ResourceView>
  );
}

export namespace ProfileDifference {
  export interface IProps {
    resource: Resource<ICompared>;
    onOpen: (profileId: string) => void;
    onOpenRun: (runId: string) => void;
    /** Swap the two profiles. */
    onSwap: () => void;
    trans: TranslationBundle;
  }
}

function Compared(
  props: ProfileDifference.IProps & { compared: ICompared }
): React.ReactElement {
  const { compared, trans } = props;
  const { before, after, difference } = compared;
  const measured = measuredTab(compared, trans);
  const [tab, setTab] = React.useState(measured?.id ?? 'figures');
  const changes: [
    id: string,
    label: string,
    one: string,
    rows: IChange[],
    none: string
  ][] = [
    [
      'operators',
      trans.__('Operators'),
      trans.__('Operator'),
      difference.operators,
      trans.__('Neither trace has operators.')
    ],
    [
      'kernels',
      trans.__('GPU kernels'),
      trans.__('GPU kernel'),
      difference.kernels,
      trans.__('Neither trace has GPU kernels.')
    ],
    [
      'lines',
      trans.__('Lines'),
      trans.__('Line'),
      difference.lines,
      trans.__('Neither trace records source lines.')
    ]
  ];
  return (
    <>
      <header className="gol-Profile-head">
        <h2>{trans.__('Difference of two profiles')}</h2>
        <span className="gol-Profile-space" />
        <ActionButton
          label={trans.__('Swap')}
          caption={trans.__('Swap the two profiles')}
          onClick={props.onSwap}
        />
      </header>
      <div className="gol-Difference-pair">
        <Side {...props} word={trans.__('Before')} profile={before} />
        <Side {...props} word={trans.__('After')} profile={after} />
      </div>
      <p className="gol-Profile-quiet">
        {basis(difference, measured !== null, trans)}
      </p>
      {difference.warnings.map(warning => (
        <Callout
          key={warning}
          tone="warning"
          title={trans.__('The profiles may not be comparable.')}
        >
          {warning}
        </Callout>
      ))}
      <Tabs
        label={trans.__('Compare by')}
        selected={tab}
        onSelect={setTab}
        tabs={[
          ...(measured ? [measured] : []),
          {
            id: 'figures',
            label: trans.__('Figures'),
            render: () => <Figures difference={difference} trans={trans} />
          },
          ...changes.map(([id, label, one, rows, none]) => ({
            id,
            label,
            render: () => (
              <Changes
                name={label}
                one={one}
                rows={rows}
                note={
                  id === 'operators'
                    ? trans.__(
                        'Times of an operator: its own CPU time plus the device time of its GPU kernels.'
                      )
                    : ''
                }
                none={none}
                trans={trans}
              />
            )
          }))
        ]}
      />
    </>
  );
}

/** The first tab, if Nsight Compute measured both profiles. */
function measuredTab(
  { before, after, difference }: ICompared,
  trans: TranslationBundle
): Tabs.ITab | null {
  const [one, other] = [before.summary?.measured, after.summary?.measured];
  return one && other
    ? {
        id: 'measured',
        label: trans.__('Measured GPU kernels'),
        render: () => (
          <OneTable
            name={trans.__('Measured GPU kernels')}
            rows={measuredChanges(difference.kernels, one, other)}
            columns={measuredChangeColumns(trans)}
            first="mean_us_after"
            note={trans.__(
              'Mean time of one launch. Launches with the same grid and block are matched first; the others are matched in launch order.'
            )}
            none={trans.__('Neither report has GPU kernels.')}
            trans={trans}
          />
        )
      }
    : null;
}

function Side(
  props: ProfileDifference.IProps & { word: string; profile: IProfile }
): React.ReactElement {
  const { word, profile, trans } = props;
  return (
    <div>
      <span className="gol-Profile-quiet">{word}</span>{' '}
      <button
        type="button"
        className="gol-LinkButton"
        title={trans.__('Open the profile “%1”', profile.title)}
        onClick={() => props.onOpen(profile.id)}
      >
        {profile.title}
      </button>
      {profile.run_id && (
        <button
          type="button"
          className="gol-LinkButton"
          onClick={() => props.onOpenRun(profile.run_id)}
        >
          {trans.__('Run %1', profile.run_id.slice(0, 8))}
        </button>
      )}
    </div>
  );
}

function Changes(props: {
  name: string;
  one: string;
  rows: readonly IChange[];
  note: string;
  none: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { name, one, rows, note, none, trans } = props;
  const [filter, setFilter] = React.useState('');
  // Slower rows come first, faster rows last.
  const [sort, setSort] = React.useState<ISort>({
    column: 'change_us',
    descending: true
  });
  const launched = rows.some(
    ({ before_with, after_with }) => before_with.length + after_with.length > 0
  );
  const columns = React.useMemo(
    () => changeColumns(one, trans, launched),
    [one, trans, launched]
  );
  const shown = React.useMemo(
    () => arranged({ columns, rows, filter, sort }),
    [columns, rows, filter, sort]
  );
  if (rows.length === 0) {
    return <EmptyState text={none} />;
  }
  return (
    <div className="gol-Tables">
      {note && <p className="gol-Profile-quiet">{note}</p>}
      <div className="gol-Profile-bar">
        <input
          type="search"
          className="gol-Tables-filter"
          aria-label={trans.__('Filter')}
          placeholder={trans.__('Filter')}
          value={filter}
          onChange={event => setFilter(event.target.value)}
        />
        <DownloadButton
          name={`difference ${name}`}
          columns={columns.map(({ id }) => id)}
          rows={() =>
            shown.flatMap(each =>
              each.kind === 'row'
                ? [columns.map(({ value }) => value(each.row))]
                : []
            )
          }
          trans={trans}
        />
      </div>
      <SumsGrid
        label={name}
        columns={columns}
        shown={shown}
        sort={sort}
        grouped={false}
        onSort={setSort}
        onToggle={() => undefined}
        trans={trans}
      />
    </div>
  );
}

/** `launched`: add the grid and block of measured kernels. */
function changeColumns(
  title: string,
  trans: TranslationBundle,
  launched = false
): IColumn<IChange>[] {
  return [
    {
      id: 'name',
      title,
      width: 360,
      value: ({ name, place }) =>
        place ? `${placeWords(place, trans)} ${place.text.trim()}` : name
    },
    ...(launched
      ? [
          {
            id: 'launched',
            title: trans.__('Grid × block'),
            tip: trans.__('Grid and block before and after, where they differ'),
            width: 220,
            value: (change: IChange) => launchWords(change, trans) || null
          }
        ]
      : []),
    {
      id: 'change_us',
      title: trans.__('Change'),
      tip: trans.__('Time after minus time before: negative is faster'),
      width: 110,
      value: ({ before_us, after_us }) => after_us - before_us,
      words: value => signed(value)
    },
    {
      id: 'before_us',
      title: trans.__('Before'),
      width: 100,
      value: each => (each.state === 'added' ? null : each.before_us),
      words: formatMicroseconds
    },
    {
      id: 'after_us',
      title: trans.__('After'),
      width: 100,
      value: each => (each.state === 'removed' ? null : each.after_us),
      words: formatMicroseconds
    },
    {
      id: 'before_count',
      title: trans.__('Calls before'),
      width: 100,
      value: each => (each.state === 'added' ? null : each.before_count),
      words: formatNumber
    },
    {
      id: 'after_count',
      title: trans.__('Calls after'),
      width: 100,
      value: each => (each.state === 'removed' ? null : each.after_count),
      words: formatNumber
    },
    {
      id: 'state',
      title: trans.__('State'),
      width: 90,
      value: ({ state }) => stateWord(state, trans)
    },
    {
      id: 'instead_of',
      title: trans.__('Replaces'),
      tip: trans.__(
        'The GPU kernel that this operator launched before, with the same shapes'
      ),
      width: 260,
      value: ({ instead_of }) => instead_of || null
    }
  ];
}
