import { URLExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { GenOpsApi } from '../../core';
import {
  ActionButton,
  Callout,
  EmptyState,
  ResourceView,
  ShortId,
  StatusBadge,
  Tabs,
  formatMoment,
  useRevision
} from '../../core';

import type { ICutQuery } from '../perfetto/service';
import type { IProfile } from '../service';
import { Timeline } from '../timeline/timeline';
import type { TraceFetch } from '../trace/model';
import { FetchTrace } from '../trace/view';

import { Flame } from './flame/flame';
import { Lines } from './lines/lines';
import { MemoryView } from './memory/memory';
import { isSnapshot } from '../model';
import { MeasuredView } from './nsight-compute/view';
import type { ProfileViewModel } from './model';
import { Overview } from './overview/overview';
import type { IPlaces } from './places';
import { Tables } from './tables/tables';

import '../../../style/core/tabs.css';
import '../../../style/profiling/views.css';
import '../../../style/profiling/overview.css';
import '../../../style/profiling/advice.css';
import '../../../style/profiling/memory.css';
import '../../../style/profiling/nsight-compute.css';
import '../../../style/profiling/parts.css';

/** The class of what a profile is shown in. */
export const PROFILE_CLASS = 'gol-Profile';

/** A profile in any state. */
export function ProfileView(props: ProfileView.IProps): React.ReactElement {
  const { model, trans } = props;
  return (
    <ResourceView
      resource={model.profile}
      trans={trans}
      down={trans.__('This profile cannot be read.')}
      keepMounted
      empty={null}
    >
      {profile => <Shown {...props} profile={profile} />}
    </ResourceView>
  );
}

export namespace ProfileView {
  export interface IActions {
    openRun: (runId: string) => void;
    /** Show a period of its timeline in the Perfetto UI. */
    openPerfetto: (profile: IProfile, asked: ICutQuery) => void;
    compareWith: (profile: IProfile) => void;
    /** Returns the transfer of the trace from its target. */
    traceFetch: (profile: IProfile) => TraceFetch;
    toggleGutter: (profile: IProfile) => void;
    /**
     * Insert a cell that makes a table of a field of the summary; null if there
     * is no trace.
     */
    insertTable: (profile: IProfile, field: string) => void;
    canInsertTable: (profile: IProfile) => boolean;
  }

  export interface IProps {
    model: ProfileViewModel;
    places: IPlaces;
    actions: IActions;
    api: GenOpsApi;
    trans: TranslationBundle;
    /** A hint for a trace that cannot be read. */
    hint?: string;
    /** The traces of its folder, which may be ranks of one run. */
    folder?: { traces: number; open: () => void };
  }
}

function Shown(
  props: ProfileView.IProps & { profile: IProfile }
): React.ReactElement {
  const { profile, model, actions, trans } = props;
  useRevision(model.changed);
  return (
    <>
      <header className="gol-Profile-head">
        <h2 title={profile.title}>{profile.title}</h2>
        <span className="gol-Profile-quiet">
          {formatMoment(profile.created_at)}
        </span>
        {profile.run_id && (
          <span>
            {trans.__('Run')}{' '}
            <ShortId
              id={profile.run_id}
              label={trans.__('Copy the run id')}
              trans={trans}
            />
            <ActionButton
              label={trans.__('Open the run')}
              onClick={() => actions.openRun(profile.run_id)}
            />
          </span>
        )}
        {profile.trace_target && profile.state === 'ready' && (
          <FetchTrace
            profileId={profile.id}
            make={() => actions.traceFetch(profile)}
            visible={model.visible}
            words={trans.__('The trace is on %1.', profile.trace_target)}
            trans={trans}
          />
        )}
        <span className="gol-Profile-space" />
        {hasFile(profile) && (
          <a
            className="gol-Button jp-mod-styled jp-mod-minimal"
            href={URLExt.join(
              props.api.serverSettings.baseUrl,
              `genops/profiles/${profile.id}/perfetto/0`
            )}
            download=""
            title={
              profile.summary?.measured
                ? trans.__(
                    'Save the report to this computer, to open it in ncu-ui'
                  )
                : trans.__('Save the trace to this computer')
            }
          >
            {profile.summary?.measured
              ? trans.__('Download the report')
              : trans.__('Download the trace')}
          </a>
        )}
        {props.folder && !isSnapshot(profile) && (
          <ActionButton
            label={trans.__('All %1 traces of the folder', props.folder.traces)}
            caption={trans.__(
              'Show the traces of this folder together, as the ranks of one run'
            )}
            onClick={props.folder.open}
          />
        )}
        <ActionButton
          label={trans.__('Compare with…')}
          caption={trans.__('Show the difference from another profile')}
          disabled={profile.state !== 'ready'}
          onClick={() => actions.compareWith(profile)}
        />
      </header>
      <Content {...props} />
    </>
  );
}

/** Whether its trace is one file on this machine. */
function hasFile({ state, trace_target, summary }: IProfile): boolean {
  return state === 'ready' && !trace_target && summary?.ranks.length === 1;
}

function Content(
  props: ProfileView.IProps & { profile: IProfile }
): React.ReactElement {
  const { profile, model, places, actions, trans } = props;
  useRevision(model.changed);
  const { summary, state, notebook } = profile;
  if (state === 'analyzing') {
    return (
      <p className="gol-Note" role="status">
        <StatusBadge
          tone="busy"
          label={
            profile.message ||
            trans.__('Analyzing the trace. This takes a few seconds.')
          }
        />
      </p>
    );
  }
  if (state === 'failed') {
    return (
      <Callout
        tone="error"
        title={trans.__('The trace could not be analyzed.')}
      >
        <>
          <p>{profile.message}</p>
          {props.hint && <p>{props.hint}</p>}
        </>
      </Callout>
    );
  }
  if (!summary) {
    return <EmptyState text={trans.__('This profile has no summary.')} />;
  }
  const { memory } = summary;
  const memoryTab = memory && {
    id: 'memory',
    label: trans.__('Memory'),
    render: (seen: boolean) => (
      <MemoryView
        memory={memory}
        profileId={profile.id}
        api={props.api}
        seen={seen && model.visible}
        places={places}
        notebook={notebook}
        trans={trans}
      />
    )
  };
  if (memoryTab && isSnapshot(profile)) {
    return <>{memoryTab.render(true)}</>;
  }
  const { measured, ranks } = summary;
  const measuredTab = measured && {
    id: 'measured',
    label: trans.__('Measured GPU kernels'),
    render: (seen: boolean) => (
      <MeasuredView
        summary={summary}
        measured={measured}
        ask={(kernel, signal) => model.kernelMetrics(kernel, signal)}
        seen={seen && model.visible}
        places={places}
        notebook={notebook}
        trans={trans}
      />
    )
  };
  // Nsight Compute runs kernels one by one, so a measurement has no timeline.
  const overTime: Tabs.ITab[] = [
    {
      id: 'flame',
      label: trans.__('Flame graph'),
      render: seen => (
        <Flame
          model={model}
          ranks={ranks}
          seen={seen && model.visible}
          trans={trans}
        />
      )
    },
    {
      id: 'timeline',
      label: trans.__('Timeline'),
      render: seen => (
        <Timeline
          profileId={profile.id}
          api={props.api}
          visible={seen && model.visible}
          ranks={ranks}
          rank={model.rank}
          onRank={chosen => {
            model.rank = chosen;
          }}
          onPerfetto={asked => actions.openPerfetto(profile, asked)}
          marks={model.marks}
          memory={memory}
          traceTarget={profile.trace_target}
          trans={trans}
        />
      )
    }
  ];
  const tabs: Tabs.ITab[] = [
    ...(measuredTab ? [measuredTab] : []),
    {
      id: 'overview',
      label: trans.__('Overview'),
      render: () => (
        <Overview
          summary={summary}
          places={places}
          notebook={notebook}
          onMoments={measured ? null : advice => model.showMoments(advice)}
          onRank={chosen => model.showTimeline(chosen)}
          trans={trans}
        />
      )
    },
    {
      id: 'lines',
      label: trans.__('Cells and lines'),
      render: () => (
        <Lines
          attribution={summary.attribution}
          measured={measured !== null}
          places={places}
          notebook={notebook}
          onGutter={() => actions.toggleGutter(profile)}
          trans={trans}
        />
      )
    },
    {
      id: 'tables',
      label: trans.__('Operators and GPU kernels'),
      render: () => (
        <Tables
          summary={summary}
          onInsert={
            actions.canInsertTable(profile)
              ? field => actions.insertTable(profile, field)
              : null
          }
          trans={trans}
        />
      )
    },
    ...(measured ? [] : overTime),
    ...(memoryTab ? [memoryTab] : [])
  ];
  return (
    <Tabs
      label={trans.__('Views of the profile')}
      selected={
        tabs.some(({ id }) => id === model.tab) ? model.tab : tabs[0].id
      }
      onSelect={id => {
        model.tab = id;
      }}
      tabs={tabs}
    />
  );
}
