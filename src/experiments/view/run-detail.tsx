import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  DataTable,
  Disclosure,
  DownState,
  Facts,
  RelativeTime,
  ShortId
} from '../../core';
import type { Resource } from '../../core';
import { useResource } from '../../core/ui/hooks';
import type { MediaModel } from '../media/model';
import { MediaView } from '../media/view/media';
import { DIVERGED, divergences } from '../diverged';
import type { ExperimentsModel } from '../model';
import type { IRun, IRunDetail } from '../service';

import type { IRunActions } from './actions';
import { Curves } from './curves';
import { Output } from './output';
import { ArtifactList, LoggedModels } from './products';
import { RelatedRuns } from './related';
import { metricText } from './messages';

import '../../../style/experiments/experiments.css';

/** Longer lists start closed. */
const FEW = 12;

/** All details of a run, below its row. */
export function RunDetail(props: RunDetail.IProps): React.ReactElement {
  const { run, model, trans, actions } = props;
  const bad = new Map(
    divergences(run.tags[DIVERGED])
      .filter(({ metric }) => typeof run.metrics[metric] !== 'number')
      .map(({ metric, value }) => [metric, value])
  );
  const metrics = entries(
    run.metrics,
    (value, key) => bad.get(key) ?? metricText(value)
  ).filter(([key]) => !key.startsWith('system/'));
  const params = entries(run.params, String);
  const tags = entries(run.tags, String);
  const hasSystem = Object.keys(run.metrics).some(key =>
    key.startsWith('system/')
  );
  return (
    <>
      <div className="gol-Actions">
        <ActionButton
          label={trans.__('Insert code')}
          caption={trans.__(
            'Insert code that loads this run into the notebook'
          )}
          onClick={() => actions.insertCode(run)}
        />
        <ActionButton
          label={trans.__('Restore notebook')}
          caption={trans.__(
            'Make a new notebook with exactly the cells that ran'
          )}
          onClick={() => actions.restore(run)}
        />
        <ActionButton
          label={trans.__('Compare with…')}
          caption={trans.__('Show differences between this run and others')}
          onClick={() => actions.compare([run.run_id])}
        />
        {actions.canShowLineage() && (
          <ActionButton
            label={trans.__('Lineage')}
            caption={trans.__(
              'Show the data of the run, and the versions and deployments that stand on it'
            )}
            onClick={() => actions.showLineage(run)}
          />
        )}
        <ActionButton
          label={trans.__('Copy link')}
          caption={trans.__('Copy a link that opens this run')}
          onClick={() => actions.copyLink(run)}
        />
        <ActionButton
          label={trans.__('Open in MLflow')}
          caption={trans.__('MLflow’s own page of this run')}
          onClick={() => actions.openMlflow(run)}
        />
      </div>
      <Curves run={run} model={model} trans={trans} />
      <Group
        title={trans.__('Metrics')}
        entries={metrics}
        bad={bad}
        trans={trans}
      />
      <RunFacts run={run} trans={trans} onOpen={actions.openNotebook} />
      {model.media && model.opened === run.run_id && (
        <Media {...props} media={model.media} />
      )}
      <Group title={trans.__('Parameters')} entries={params} trans={trans} />
      <Group title={trans.__('Tags')} entries={tags} trans={trans} />
      {hasSystem && (
        <Disclosure title={trans.__('System')}>
          <Curves run={run} model={model} trans={trans} system />
        </Disclosure>
      )}
      {model.detail && model.opened === run.run_id && (
        <Products {...props} resource={model.detail} />
      )}
    </>
  );
}

export namespace RunDetail {
  export interface IProps {
    run: IRun;
    model: ExperimentsModel;
    actions: IRunActions;
    trans: TranslationBundle;
  }
}

function RunFacts(props: {
  run: IRun;
  trans: TranslationBundle;
  onOpen: (path: string) => void;
}): React.ReactElement {
  const { run, trans, onOpen } = props;
  return (
    <Facts
      facts={[
        [
          trans.__('Run'),
          <ShortId
            key="id"
            id={run.run_id}
            label={trans.__('Copy the run id')}
            trans={trans}
          />
        ],
        [
          trans.__('Experiment'),
          <span key="experiment" title={run.experiment}>
            {run.experiment}
          </span>
        ],
        typeof run.started_at === 'number'
          ? [
              trans.__('Started'),
              <RelativeTime
                key="started"
                seconds={run.started_at}
                trans={trans}
              />
            ]
          : null,
        run.user ? [trans.__('User'), run.user] : null,
        run.source
          ? [
              trans.__('Source'),
              <Source key="source" path={run.source} onOpen={onOpen} />
            ]
          : null,
        run.git_commit
          ? [
              trans.__('Commit'),
              <span key="commit" className="gol-Run-commit">
                <ShortId
                  id={run.git_commit}
                  label={trans.__('Copy the commit')}
                  trans={trans}
                />
                {run.git_dirty && (
                  <span
                    title={trans.__('The working tree had uncommitted changes')}
                  >
                    {trans.__('modified')}
                  </span>
                )}
              </span>
            ]
          : null
      ]}
    />
  );
}

/** A notebook below the Lab's folder is a link; other sources are text. */
function Source(props: {
  path: string;
  onOpen: (path: string) => void;
}): React.ReactElement {
  const { path, onOpen } = props;
  const name = PathExt.basename(path);
  const opens = path.endsWith('.ipynb') && !path.startsWith('/');
  return opens ? (
    <button
      type="button"
      className="gol-LinkButton"
      title={path}
      onClick={() => onOpen(path)}
    >
      {name}
    </button>
  ) : (
    <span title={path}>{name}</span>
  );
}

function Group(props: {
  title: string;
  entries: (readonly [string, string])[];
  bad?: ReadonlyMap<string, string>;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { title, entries: all, trans } = props;
  return all.length === 0 ? null : (
    <Disclosure
      title={title}
      meta={String(all.length)}
      initiallyOpen={all.length <= FEW}
    >
      <KeyValues caption={title} entries={all} bad={props.bad} trans={trans} />
    </Disclosure>
  );
}

/** The media of the run; empty if it has none. */
function Media(
  props: RunDetail.IProps & { media: MediaModel }
): React.ReactElement | null {
  const { media, model, trans } = props;
  useResource(media.resource);
  return media.rows.length === 0 ? null : (
    <Disclosure
      title={trans.__('Media')}
      meta={String(media.rows.length)}
      initiallyOpen
    >
      <MediaView model={media} service={model.mediaService} trans={trans} />
    </Disclosure>
  );
}

/** The models and files of a run, from a request of their own. */
function Products(
  props: RunDetail.IProps & { resource: Resource<IRunDetail> }
): React.ReactElement | null {
  const { resource, run, trans, actions } = props;
  const { value, error, busy } = useResource(resource);
  if (error && !value) {
    return (
      <DownState
        what={trans.__('The models and files of this run cannot be read.')}
        error={error}
        busy={busy}
        trans={trans}
        onRetry={() => void resource.refresh()}
      />
    );
  }
  return value ? (
    <>
      <LoggedModels
        run={run}
        models={value.models}
        actions={actions}
        trans={trans}
      />
      <RelatedRuns detail={value} model={props.model} trans={trans} />
      {value.output && (
        <Output runId={run.run_id} model={props.model} trans={trans} />
      )}
      <ArtifactList
        artifacts={value.artifacts}
        onOpenProfile={
          actions.canOpenProfile() ? () => actions.openProfile(run) : null
        }
        trans={trans}
      />
    </>
  ) : null;
}

function entries<T>(
  record: Record<string, T>,
  text: (value: T, key: string) => string
): (readonly [string, string])[] {
  return Object.keys(record)
    .sort((a, b) => a.localeCompare(b))
    .map(key => [key, text(record[key], key)] as const);
}

const FIRST = 30;

/**
 * Names and values, one in each row; a long list is cut until the user asks for
 * all.
 */
function KeyValues(props: KeyValues.IProps): React.ReactElement {
  const { entries, trans } = props;
  const [all, setAll] = React.useState(false);
  const shown = all ? entries : entries.slice(0, FIRST);
  return (
    <>
      <DataTable
        caption={props.caption}
        className="gol-KeyValues"
        hideHead
        rows={shown}
        rowKey={([key]) => key}
        columns={[
          {
            id: 'name',
            title: trans.__('Name'),
            isHead: true,
            cell: ([key]) => key,
            tip: ([key]) => key
          },
          {
            id: 'value',
            title: trans.__('Value'),
            cell: ([, value]) => value,
            tip: ([, value]) => value,
            cellClass: ([key]) =>
              props.bad?.has(key) ? 'gol-mod-bad' : undefined
          }
        ]}
      />
      {shown.length < entries.length && (
        <ActionButton
          label={trans.__('Show all %1', entries.length)}
          onClick={() => setAll(true)}
        />
      )}
    </>
  );
}

export namespace KeyValues {
  export interface IProps {
    /** A label for screen readers. */
    caption: string;
    entries: readonly (readonly [key: string, value: string])[];
    /** Values in red. */
    bad?: ReadonlyMap<string, unknown>;
    trans: TranslationBundle;
  }
}
