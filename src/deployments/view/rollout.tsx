import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  ApiError,
  Callout,
  DataTable,
  Disclosure,
  Facts,
  StatusBadge,
  formatDuration,
  formatMoment
} from '../../core';
import type { Tone } from '../../core';
import { formatNumber } from '../../core/format';
import { LegendChart } from '../../core/ui/legend-chart';

import type {
  DeploymentsService,
  IDeployment,
  IRollout,
  RolloutDecision
} from '../service';

type IMetric = IRollout['metrics'][number];
type IPoint = IRollout['history'][number];

const CHART_PX = 120;
/** On a page. */
const WIDE_CHART_PX = 260;

/** The rollout of a deployment: step, both revisions, evidence, and what a person can decide. */
export function RolloutView(props: {
  deployment: IDeployment;
  rollout: IRollout;
  service: DeploymentsService;
  trans: TranslationBundle;
  onDecide: (deployment: IDeployment, decision: RolloutDecision) => void;
  /** Open the evidence as a page. */
  onWiden: (deployment: IDeployment) => void;
}): React.ReactElement {
  const { deployment, rollout, trans, onDecide, onWiden } = props;
  const { state } = rollout;
  const goesOn =
    deployment.updating_to === rollout.candidate &&
    (state === 'running' || state === 'held');
  const button = (
    decision: RolloutDecision,
    label: string,
    caption: string
  ) => (
    <ActionButton
      label={label}
      caption={caption}
      onClick={() => onDecide(deployment, decision)}
    />
  );
  return (
    <section
      className="gol-Rollout"
      aria-label={trans.__('Rollout of %1', deployment.name)}
    >
      <div className="gol-Revisions-what">
        <span className="gol-Rollout-title">
          {trans.__(
            'Rollout of r%1 (%2)',
            rollout.candidate,
            kindWord(rollout.kind, trans)
          )}
        </span>
        <StatusBadge {...stateWord(state, trans)} />
      </div>
      {rollout.why && (
        <Callout
          tone={state === 'rolled back' ? 'error' : 'info'}
          title={rollout.why}
        />
      )}
      <Facts
        facts={
          goesOn
            ? [
                rollout.steps.length > 0
                  ? [
                      trans.__('Step'),
                      trans.__(
                        '%1 of %2: %3 % of requests',
                        rollout.step,
                        rollout.steps.length,
                        formatNumber(rollout.traffic)
                      )
                    ]
                  : [
                      trans.__('Share'),
                      rollout.kind === 'shadow'
                        ? trans.__('copies of requests')
                        : trans.__(
                            '%1 % of requests',
                            formatNumber(rollout.traffic)
                          )
                    ],
                [trans.__('Time left'), formatDuration(rollout.left_s)]
              ]
            : [
                rollout.ended_at
                  ? [trans.__('Ended'), formatMoment(rollout.ended_at)]
                  : null
              ]
        }
      />
      {goesOn && (
        <p className="gol-Note">{trans.__('Next: %1', rollout.next)}</p>
      )}
      {rollout.excluded && <p className="gol-Note">{rollout.excluded}</p>}
      {rollout.shadow && (
        <p className="gol-Note">
          {trans.__(
            '%1 requests were copied: %2 equal answers, %3 different, %4 failed. They took %5 of the new revision.',
            rollout.shadow.requests,
            rollout.shadow.equal,
            rollout.shadow.different,
            rollout.shadow.failed,
            formatDuration(rollout.shadow.seconds)
          )}
        </p>
      )}
      {rollout.metrics.length > 0 && <Arms rollout={rollout} trans={trans} />}
      {goesOn && (
        <div className="gol-Actions">
          {button(
            'promote',
            trans.__('Promote'),
            trans.__('Send all requests to revision %1', rollout.candidate)
          )}
          {button(
            'rollback',
            trans.__('Roll back'),
            trans.__('Send all requests to revision %1', rollout.champion)
          )}
          {state === 'running'
            ? button(
                'hold',
                trans.__('Hold'),
                trans.__('Stay at this share. Harm still rolls it back.')
              )
            : button(
                'continue',
                trans.__('Continue'),
                trans.__('Go on with the steps')
              )}
        </div>
      )}
      {rollout.metrics.length > 0 && (
        <Disclosure title={trans.__('Evidence')}>
          <ActionButton
            label={trans.__('Open wide')}
            caption={trans.__('Open the evidence as a page')}
            onClick={() => onWiden(deployment)}
          />
          <Evidence {...props} />
        </Disclosure>
      )}
    </section>
  );
}

/** The requests of both revisions in this step. */
function Arms(props: {
  rollout: IRollout;
  trans: TranslationBundle;
}): React.ReactElement {
  const { rollout, trans } = props;
  const ms = (value: number | null) =>
    value === null ? '–' : formatNumber(Number(value.toPrecision(3)));
  const rows = rollout.arms.map((arm, at) => ({
    ...arm,
    name: at
      ? trans.__('r%1 (new)', rollout.candidate)
      : trans.__('r%1', rollout.champion)
  }));
  type Row = (typeof rows)[number];
  const column = (
    id: string,
    title: string,
    cell: (row: Row) => React.ReactNode
  ): DataTable.IColumn<Row> => ({ id, title, cell, numeric: true });
  return (
    <DataTable
      caption={trans.__('Requests in this step')}
      className="gol-Rollout-arms"
      rows={rows}
      rowKey={row => row.name}
      columns={[
        {
          id: 'revision',
          title: trans.__('Revision'),
          cell: row => row.name,
          isHead: true
        },
        column('requests', trans.__('Requests'), row =>
          row.requests.toLocaleString()
        ),
        column('failed', trans.__('Failed'), row =>
          row.failures.toLocaleString()
        ),
        column('p50', trans.__('p50 ms'), row => ms(row.p50_ms)),
        column('p95', trans.__('p95 ms'), row => ms(row.p95_ms))
      ]}
    />
  );
}

/** A picture for each metric: the interval as it becomes narrower, and the margin. */
function Evidence(props: {
  deployment: IDeployment;
  rollout: IRollout;
  service: DeploymentsService;
  trans: TranslationBundle;
}): React.ReactElement {
  const { deployment, rollout, service, trans } = props;
  const [history, setHistory] = React.useState<readonly IPoint[]>([]);
  const [failure, setFailure] = React.useState<ApiError>();
  React.useEffect(() => {
    const abort = new AbortController();
    service
      .rollout(deployment.name, abort.signal)
      .then(found => {
        setHistory(found.history);
        setFailure(undefined);
      })
      .catch((reason: unknown) => {
        if (!abort.signal.aborted) {
          setFailure(ApiError.from(reason, trans));
        }
      });
    return () => abort.abort();
  }, [deployment.name, rollout.id, rollout.elapsed_s, rollout.state]);
  if (failure) {
    return <p className="gol-Note">{`${failure.message} ${failure.hint}`}</p>;
  }
  return <Pictures {...{ rollout, history, trans }} height={CHART_PX} />;
}

/** The chart of each metric with what it says. */
function Pictures(props: {
  rollout: IRollout;
  history: readonly IPoint[];
  height: number;
  trans: TranslationBundle;
}): React.ReactElement {
  const { rollout, history, height, trans } = props;
  return (
    <>
      {rollout.metrics.map(metric => (
        <figure key={metric.name} className="gol-Rollout-evidence">
          <figcaption>
            <span>{metricWord(metric, trans)}</span>
            <StatusBadge {...metricState(metric, trans)} />
          </figcaption>
          <p className="gol-Note">{metric.says}</p>
          <LegendChart
            label={metricWord(metric, trans)}
            height={height}
            x="duration"
            lines={linesOf(metric, history, trans)}
          />
        </figure>
      ))}
    </>
  );
}

/** The page of a rollout: what happens, both revisions, and the evidence in wide charts. */
export function RolloutPage(props: {
  rollout: IRollout;
  trans: TranslationBundle;
}): React.ReactElement {
  const { rollout, trans } = props;
  return (
    <div className="gol-Rollout-page">
      <p className="gol-Revisions-what">
        <span className="gol-Rollout-title">
          {trans.__(
            'Rollout of r%1 (%2)',
            rollout.candidate,
            kindWord(rollout.kind, trans)
          )}
        </span>
        <StatusBadge {...stateWord(rollout.state, trans)} />
      </p>
      {rollout.why && (
        <Callout
          tone={rollout.state === 'rolled back' ? 'error' : 'info'}
          title={rollout.why}
        />
      )}
      {rollout.excluded && <p className="gol-Note">{rollout.excluded}</p>}
      {rollout.metrics.length > 0 && <Arms rollout={rollout} trans={trans} />}
      <p className="gol-Note">
        {trans.__(
          'Time runs from the begin of the rollout. The true difference lies between “at least” and “at most”, whenever one looks.'
        )}
      </p>
      <Pictures
        {...{ rollout, trans }}
        history={rollout.history}
        height={WIDE_CHART_PX}
      />
    </div>
  );
}

function linesOf(
  metric: IMetric,
  history: readonly IPoint[],
  trans: TranslationBundle
) {
  const scale = metric.kind === 'ratio' ? 1 : 100;
  const x = history.map(point => point.s);
  const end = (at: number) =>
    history.map(point => {
      const value = point.metrics[metric.name]?.[at] ?? null;
      return value === null ? null : value * scale;
    });
  return [
    { label: trans.__('at least'), x, y: end(0) },
    { label: trans.__('estimate'), x, y: end(1) },
    { label: trans.__('at most'), x, y: end(2) },
    { label: trans.__('margin'), x, y: x.map(() => metric.margin * scale) }
  ];
}

function metricWord(metric: IMetric, trans: TranslationBundle): string {
  if (metric.kind === 'ratio') {
    return trans.__('Latency, new by before');
  }
  return metric.name === 'failures'
    ? trans.__('Failures, new less before (points)')
    : trans.__('%1, worse by (points)', metric.name);
}

function metricState(
  metric: IMetric,
  trans: TranslationBundle
): { tone: Tone; label: string } {
  if (metric.harm) {
    return { tone: 'error', label: trans.__('Harm') };
  }
  return metric.passed
    ? { tone: 'ok', label: trans.__('Within the margin') }
    : { tone: 'busy', label: trans.__('Open') };
}

function kindWord(kind: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    canary: trans.__('canary'),
    'blue-green': trans.__('blue-green'),
    'a/b': trans.__('A/B'),
    shadow: trans.__('shadow')
  };
  return words[kind] ?? kind;
}

function stateWord(
  state: IRollout['state'],
  trans: TranslationBundle
): { tone: Tone; label: string } {
  const words: Record<IRollout['state'], { tone: Tone; label: string }> = {
    running: { tone: 'busy', label: trans.__('In progress') },
    held: { tone: 'warning', label: trans.__('Held') },
    promoted: { tone: 'ok', label: trans.__('Promoted') },
    'rolled back': { tone: 'error', label: trans.__('Rolled back') }
  };
  return words[state];
}
