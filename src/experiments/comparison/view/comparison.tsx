import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  FollowingView,
  ResourceView
} from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import type { ComparisonModel } from '../model';
import type { ComparisonService, IRunComparison } from '../service';

import { ArtifactSection } from './artifacts';
import { CodeSection } from './code';
import { Columns } from './columns';
import { MediaSection } from './media';
import { MetricSection } from './metrics';
import { RowSection } from './rows';
import { factName } from './messages';

import '../../../../style/experiments/comparison.css';

/** Prefix of the metrics of a run's profiles. */
const PROFILE_METRICS = 'profile/';

/** Runs side by side, in the main area. */
export class ComparisonView extends FollowingView<ComparisonModel> {
  constructor(
    model: ComparisonModel,
    private _service: Pick<ComparisonService, 'artifact' | 'artifactUrl'>,
    private _trans: TranslationBundle,
    private _compareProfiles?: Comparison.IProps['onCompareProfiles']
  ) {
    super(model);
    this.addClass('gol-Comparison');
    this.node.tabIndex = -1;
  }

  protected override onActivateRequest(msg: Message): void {
    this.node.focus();
    super.onActivateRequest(msg);
  }

  protected override render(): React.ReactElement {
    return (
      <Comparison
        model={this.model}
        service={this._service}
        onCompareProfiles={this._compareProfiles}
        trans={this._trans}
      />
    );
  }
}

/** The comparison in each of its states. */
export function Comparison(props: Comparison.IProps): React.ReactElement {
  const { model, trans } = props;
  const { busy } = useResource(model.resource);
  return (
    <div className="gol-Comparison-body" aria-busy={busy}>
      <ResourceView
        resource={model.resource}
        trans={trans}
        down={trans.__('The runs cannot be compared.')}
        empty={null}
        keepMounted
      >
        {comparison => <Compared {...props} comparison={comparison} />}
      </ResourceView>
    </div>
  );
}

export namespace Comparison {
  export interface IProps {
    model: ComparisonModel;
    service: Pick<ComparisonService, 'artifact' | 'artifactUrl'>;
    /**
     * Show the profiles of two runs side by side; undefined without the
     * profiling feature.
     */
    onCompareProfiles?: (before: string, after: string) => void;
    trans: TranslationBundle;
  }
}

/**
 * Return the baseline and the other of two runs that have profiles; else null.
 */
function profiledRuns({
  runs,
  baseline,
  metrics
}: IRunComparison): [string, string] | null {
  const one = runs.find(({ column }) => column === baseline);
  const other = runs.find(run => run !== one);
  const both = metrics.some(
    ({ name, columns }) =>
      name.startsWith(PROFILE_METRICS) &&
      columns.every(({ estimate }) => estimate.n > 0)
  );
  return one && other && runs.length === 2 && both
    ? [one.run_id, other.run_id]
    : null;
}

function Compared(
  props: Comparison.IProps & { comparison: IRunComparison }
): React.ReactElement {
  const { comparison, model, service, onCompareProfiles, trans } = props;
  const profiled = profiledRuns(comparison);
  const [all, setAll] = React.useState(false);
  const shared = { comparison, all, trans };
  const problems = comparison.runs.filter(({ problem }) => problem);
  return (
    <>
      <div className="gol-Comparison-head">
        <h2>{trans.__('Comparison')}</h2>
        <label>
          <input
            type="checkbox"
            checked={all}
            onChange={event => setAll(event.target.checked)}
          />
          {trans.__('Show equal values')}
        </label>
        <label>
          <input
            type="checkbox"
            checked={model.grouped}
            onChange={event => {
              model.grouped = event.target.checked;
            }}
          />
          {trans.__('Group repeats')}
        </label>
        {onCompareProfiles && profiled && (
          <ActionButton
            label={trans.__('Compare profiles')}
            caption={trans.__('Show differences between the profiles')}
            onClick={() => onCompareProfiles(...profiled)}
          />
        )}
      </div>
      <Columns comparison={comparison} model={model} trans={trans} />
      {comparison.repeats && (
        <Callout
          tone="info"
          title={trans.__('These runs are repeats of each other.')}
        >
          {trans.__(
            'They differ only in their seed. Each run has a column, and the mean is shown too.'
          )}
        </Callout>
      )}
      {problems.map(run => (
        <Callout
          key={run.run_id}
          tone="warning"
          title={run.name || run.run_id.slice(0, 8)}
        >
          {run.problem}
        </Callout>
      ))}
      <MetricSection {...shared} />
      <MediaSection
        comparison={comparison}
        model={model.media}
        service={service}
        trans={trans}
      />
      <RowSection
        {...shared}
        id="params"
        title={trans.__('Parameters')}
        rows={comparison.params}
      />
      <CodeSection
        {...shared}
        title={trans.__('Code')}
        texts={({ cells }) => cells ?? []}
        none={trans.__('The cells are equal.')}
      />
      <CodeSection
        {...shared}
        title={trans.__('Uncommitted changes')}
        texts={({ patch }) => patch ?? []}
        none={trans.__('The uncommitted changes are equal.')}
      />
      <RowSection
        {...shared}
        id="facts"
        title={trans.__('Source and host')}
        rows={comparison.facts}
        nameOf={name => factName(name, trans)}
      />
      <RowSection
        {...shared}
        id="packages"
        title={trans.__('Packages')}
        rows={comparison.packages}
      />
      <RowSection
        {...shared}
        id="datasets"
        title={trans.__('Data sets')}
        rows={comparison.datasets}
      />
      <RowSection
        {...shared}
        id="tags"
        title={trans.__('Tags')}
        rows={comparison.tags}
      />
      <ArtifactSection {...shared} service={service} />
    </>
  );
}
