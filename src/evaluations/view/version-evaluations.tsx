import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import {
  Facts,
  RelativeTime,
  Resource,
  ResourceView,
  StatusBadge
} from '../../core';

import {
  TONES,
  describeEstimate,
  describeVerdict,
  metricName
} from '../metrics';
import type { IEvaluationReport, IJudgedMetric } from '../service';
import { EvaluationsService } from '../service';

import '../../../style/registry/evaluations.css';

/** How a version was judged on each data set, fetched when this is first shown. */
export function VersionEvaluations(props: {
  core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>;
  name: string;
  version: string;
  onEvaluate: () => void;
}): React.ReactElement {
  const { core, name, version } = props;
  const { trans } = core;
  const resource = React.useMemo(() => {
    const service = new EvaluationsService(core.api);
    return new Resource<IEvaluationReport[]>({
      fetch: signal => service.ofVersion(name, version, signal),
      events: core.events,
      kinds: ['evaluation'],
      trans
    });
  }, [core, name, version, trans]);
  React.useEffect(() => {
    resource.visible = true;
    void resource.refresh();
    return () => resource.dispose();
  }, [resource]);
  const label = trans.__('Evaluations of %1 version %2', name, version);
  return (
    <section className="gol-Evaluations" aria-label={label}>
      <div className="gol-Evaluations-head">
        <h4>{trans.__('Evaluations')}</h4>
        <button
          type="button"
          className="gol-LinkButton"
          aria-label={trans.__('Evaluate %1 version %2…', name, version)}
          onClick={props.onEvaluate}
        >
          {trans.__('Evaluate…')}
        </button>
      </div>
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The evaluations of this version cannot be read.')}
        keepMounted
        empty={
          <p className="gol-Note">
            {trans.__('This version was not evaluated on any data set yet.')}
          </p>
        }
      >
        {reports => (
          <ul className="gol-Evaluations-list">
            {reports.map(report => (
              <li key={report.evaluation.run_id}>
                <ReportView report={report} trans={trans} />
              </li>
            ))}
          </ul>
        )}
      </ResourceView>
    </section>
  );
}

/** The metrics of one evaluation, with the differences to the version that it is compared with. */
export function ReportView(props: {
  report: IEvaluationReport;
  trans: TranslationBundle;
}): React.ReactElement {
  const { report, trans } = props;
  const { evaluation, against, groups } = report;
  const slices = [...new Set(groups.map(({ group }) => group))];
  return (
    <div className="gol-Evaluation">
      <p className="gol-Evaluation-title">
        <span title={`${evaluation.data}@${evaluation.digest}`}>
          {`${evaluation.data}@${evaluation.digest.slice(0, 8)}`}
        </span>
        <span className="gol-Note">
          {trans._n('%1 row', '%1 rows', report.rows)}
        </span>
        {evaluation.made_at !== null && (
          <RelativeTime seconds={evaluation.made_at} trans={trans} />
        )}
      </p>
      <Metrics
        metrics={report.metrics}
        name={({ metric }) => metricName(metric, trans)}
        against={against?.version}
        trans={trans}
      />
      {slices.map(slice => {
        const chosen = groups.filter(({ group }) => group === slice);
        const title = trans.__(
          '%1 by %2',
          metricName(chosen[0].metric, trans),
          slice
        );
        return (
          <details key={slice}>
            <summary>{title}</summary>
            <Metrics
              metrics={chosen}
              name={({ value }) => value}
              against={against?.version}
              trans={trans}
            />
          </details>
        );
      })}
      {report.notes.map(note => (
        <p key={note} className="gol-Note">
          {note}
        </p>
      ))}
    </div>
  );
}

function Metrics(props: {
  metrics: readonly IJudgedMetric[];
  name: (metric: IJudgedMetric) => string;
  against: string | undefined;
  trans: TranslationBundle;
}): React.ReactElement {
  const { metrics, against, trans } = props;
  return (
    <Facts
      facts={metrics.map(metric => [
        props.name(metric),
        <React.Fragment key={metric.value || metric.metric}>
          <div
            title={trans.__(
              'With its 95 % interval, from %1 rows',
              metric.candidate.rows
            )}
          >
            {describeEstimate(metric, metric.candidate, trans)}
          </div>
          {metric.difference && against && (
            <div className="gol-Evaluation-difference">
              <span title={metric.difference.method}>
                {trans.__(
                  '%1 against version %2',
                  describeEstimate(metric, metric.difference, trans, true),
                  against
                )}
              </span>
              <StatusBadge
                tone={TONES[metric.difference.verdict]}
                label={describeVerdict(metric.difference, trans)}
              />
            </div>
          )}
        </React.Fragment>
      ])}
    />
  );
}
