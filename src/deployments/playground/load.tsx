import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  DataTable,
  Field,
  ResourceView,
  formatMoment,
  useResource,
  useSignalled
} from '../../core';
import { formatNumber } from '../../core/format';
import { Form } from '../../core/ui/form';
import { LegendChart } from '../../core/ui/legend-chart';
import { Progress } from '../../core/ui/progress';

import type { ILoadForm, ILoadTest, LoadModel } from './load-model';
import { RecordingView } from './recording';
import type { RecordingModel } from './recording-model';

import '../../../style/deployments/load.css';

const CHART_PX = 240;

type NumberName = 'first' | 'last' | 'seconds' | 'limit';

/** The load tests of a deployment: start one, its figures over the rate, and two compared. */
export function LoadView(props: {
  model: LoadModel;
  recording: RecordingModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, recording, trans } = props;
  return (
    <div className="gol-Load">
      <RecordingView model={recording} trans={trans} />
      <NewTest model={model} recording={recording} trans={trans} />
      <ResourceView
        resource={model.tests}
        trans={trans}
        down={trans.__('The load tests cannot be read.')}
        keepMounted
        empty={
          <p className="gol-Note">
            {trans.__(
              'No load test yet. A test sends requests at a growing rate and does not wait for answers.'
            )}
          </p>
        }
      >
        {tests => <Tests tests={tests} trans={trans} />}
      </ResourceView>
    </div>
  );
}

function NewTest(props: {
  model: LoadModel;
  recording: RecordingModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const held = useResource(props.recording.shown).value?.requests ?? 0;
  const { value: running = [] } = useResource(model.running);
  const error = useSignalled(model.changed, () => model.error);
  const [form, setForm] = React.useState<ILoadForm>({
    first: '10',
    last: '200',
    seconds: '30',
    limit: '200',
    requests: '',
    recorded: false
  });
  const recorded = form.recorded && held > 0;
  const [starting, setStarting] = React.useState(false);
  const busy = starting || running.length > 0;
  const number = (name: NumberName, label: string) => (
    <Field
      label={label}
      error={Number(form[name]) > 0 ? '' : trans.__('Write a number above 0.')}
    >
      {control => (
        <input
          {...control}
          type="text"
          inputMode="decimal"
          autoComplete="off"
          value={form[name]}
          onChange={event => setForm({ ...form, [name]: event.target.value })}
        />
      )}
    </Field>
  );
  const valid = [form.first, form.last, form.seconds, form.limit].every(
    each => Number(each) > 0
  );
  return (
    <Form
      className="gol-Load-form"
      busy={busy}
      onSubmit={() => {
        if (!busy && valid) {
          setStarting(true);
          void model
            .start({ ...form, recorded })
            .finally(() => setStarting(false));
        }
      }}
    >
      <div className="gol-Load-numbers">
        {number('first', trans.__('First rate (requests/s)'))}
        {number('last', trans.__('Last rate (requests/s)'))}
        {number('seconds', trans.__('Length (s)'))}
        {number('limit', trans.__('In time within (ms)'))}
      </div>
      {held > 0 && (
        <label className="gol-Check">
          <input
            type="checkbox"
            checked={recorded}
            onChange={event =>
              setForm({ ...form, recorded: event.target.checked })
            }
          />
          <span>
            {trans._n(
              'Send the %1 recorded request',
              'Send the %1 recorded requests',
              held
            )}
          </span>
        </label>
      )}
      <Field
        label={trans.__('Requests (JSON, one a line)')}
        help={trans.__(
          'Sent in turn. Without any, the example of the model is sent.'
        )}
      >
        {control => (
          <textarea
            {...control}
            rows={2}
            spellCheck={false}
            disabled={recorded}
            value={form.requests}
            onChange={event =>
              setForm({ ...form, requests: event.target.value })
            }
          />
        )}
      </Field>
      <p className="gol-Note">
        {trans.__(
          'The test goes to the deployment that your callers use. It ends early once half of the answers are late.'
        )}
      </p>
      <div className="gol-Actions">
        <button
          type="submit"
          className="jp-mod-styled jp-mod-accept"
          disabled={busy || !valid}
        >
          {trans.__('Start load test')}
        </button>
        {running.map(task => (
          <React.Fragment key={task.id}>
            <ActionButton
              label={trans.__('Cancel')}
              caption={trans.__('End the test; its figures are not kept')}
              onClick={() => void model.cancel(task.id)}
            />
            <Progress
              label={task.title}
              done={task.progress ?? 0}
              of={1}
              text={task.message}
            />
          </React.Fragment>
        ))}
      </div>
      {error && (
        <div role="alert">
          <Callout tone="error" title={error.message}>
            {error.hint}
          </Callout>
        </div>
      )}
    </Form>
  );
}

function Tests(props: {
  tests: readonly ILoadTest[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { tests, trans } = props;
  const [chosen, setChosen] = React.useState('');
  const [other, setOther] = React.useState<string>();
  const test = tests.find(({ id }) => id === chosen) ?? tests[0];
  const before = tests.find(({ id }) => id === (other ?? test.before));
  const id = React.useId();
  return (
    <>
      <Figures test={test} before={before} trans={trans} />
      {tests.length > 1 && (
        <p className="gol-Load-compared">
          <label htmlFor={id}>{trans.__('Compared with')}</label>
          <select
            id={id}
            className="jp-mod-styled"
            value={before && before.id !== test.id ? before.id : ''}
            onChange={event => setOther(event.target.value)}
          >
            <option value="">{trans.__('No other test')}</option>
            {tests
              .filter(each => each.id !== test.id)
              .map(each => (
                <option key={each.id} value={each.id}>
                  {nameOf(each, trans)}
                </option>
              ))}
          </select>
        </p>
      )}
      <h3>{trans.__('Load tests')}</h3>
      <DataTable
        caption={trans.__('Load tests')}
        rows={tests}
        rowKey={each => each.id}
        rowLabel={each =>
          trans.__('Show the load test of %1', nameOf(each, trans))
        }
        selected={test.id}
        onOpen={each => {
          setChosen(each.id);
          setOther(undefined);
        }}
        columns={[
          {
            id: 'at',
            title: trans.__('Time'),
            cell: each => formatMoment(each.at),
            isHead: true
          },
          {
            id: 'revision',
            title: trans.__('Revision'),
            cell: each => `r${each.revision}`
          },
          {
            id: 'rates',
            title: trans.__('Rates (requests/s)'),
            cell: ({ plan }) =>
              `${formatNumber(plan.first_rate)}–${formatNumber(plan.last_rate)}`,
            numeric: true
          },
          {
            id: 'limit',
            title: trans.__('Limit (ms)'),
            cell: ({ plan }) => formatNumber(plan.limit_ms),
            numeric: true
          },
          {
            id: 'knee',
            title: trans.__('Knee (requests/s)'),
            cell: ({ figures }) =>
              figures.knee === null ? '–' : formatNumber(figures.knee),
            numeric: true
          },
          {
            id: 'failures',
            title: trans.__('Failures'),
            cell: ({ figures }) => failuresOf(figures).toLocaleString(),
            numeric: true
          }
        ]}
      />
    </>
  );
}

function Figures(props: {
  test: ILoadTest;
  before: ILoadTest | undefined;
  trans: TranslationBundle;
}): React.ReactElement {
  const { test, trans } = props;
  const before = props.before?.id === test.id ? undefined : props.before;
  const { figures, plan } = test;
  const { steps, knee } = figures;
  const rates = steps.map(({ rate }) => rate);
  const line = (
    from: ILoadTest,
    label: string,
    value: (step: ILoadTest['figures']['steps'][number]) => number | null
  ) => ({
    label,
    x: from.figures.steps.map(({ rate }) => rate),
    y: from.figures.steps.map(value)
  });
  // Where the last rate is in time too, the knee lies beyond it.
  const last = rates[rates.length - 1];
  const found = knee !== null && (figures.stopped || knee < last);
  const marks = found ? [{ x: knee, label: trans.__('knee') }] : [];
  const streams = steps.some(({ first_p50_ms }) => first_p50_ms !== null);
  return (
    <section aria-label={trans.__('Figures of %1', nameOf(test, trans))}>
      <h3>{nameOf(test, trans)}</h3>
      <p>
        <strong>{resultOf(test, trans)}</strong>{' '}
        {before && comparedOf(test, before, trans)}
      </p>
      {figures.stopped && (
        <p className="gol-Note">
          {trans.__('The test ended early: half of the answers were late.')}
        </p>
      )}
      {figures.client_late_ms > 0 && (
        <Callout
          tone="warning"
          title={trans.__(
            'The test could not keep its schedule: it sent up to %1 ms late, so the latencies are too high.',
            formatNumber(Math.round(figures.client_late_ms))
          )}
        />
      )}
      <div className="gol-Load-charts">
        <figure>
          <figcaption>
            {trans.__('Latency (ms) by requests a second')}
          </figcaption>
          <LegendChart
            label={trans.__('Latency by requests a second')}
            height={CHART_PX}
            unit="ms"
            marks={marks}
            lines={[
              line(test, trans.__('p50'), step => step.p50_ms),
              line(test, trans.__('p95'), step => step.p95_ms),
              line(test, trans.__('p99'), step => step.p99_ms),
              {
                label: trans.__('limit'),
                x: rates,
                y: rates.map(() => plan.limit_ms)
              },
              ...(before
                ? [line(before, trans.__('p99 before'), step => step.p99_ms)]
                : []),
              ...(streams
                ? [
                    line(
                      test,
                      trans.__('first token p95'),
                      step => step.first_p95_ms
                    )
                  ]
                : [])
            ]}
          />
        </figure>
        <figure>
          <figcaption>
            {trans.__('Answers in time a second, by requests a second')}
          </figcaption>
          <LegendChart
            label={trans.__('Answers in time by requests a second')}
            height={CHART_PX}
            marks={marks}
            lines={[
              line(test, trans.__('in time'), step => step.goodput),
              line(test, trans.__('sent'), step => step.sent / step.seconds),
              line(
                test,
                trans.__('failed'),
                step => step.failed / step.seconds
              ),
              ...(before
                ? [
                    line(
                      before,
                      trans.__('in time before'),
                      step => step.goodput
                    )
                  ]
                : [])
            ]}
          />
        </figure>
      </div>
      {figures.failures.length > 0 && (
        <DataTable
          caption={trans.__('Failures')}
          rows={figures.failures}
          rowKey={({ what }) => what}
          columns={[
            {
              id: 'what',
              title: trans.__('Failure'),
              cell: ({ what }) => what,
              isHead: true
            },
            {
              id: 'count',
              title: trans.__('Requests'),
              cell: ({ count }) => count.toLocaleString(),
              numeric: true
            }
          ]}
        />
      )}
    </section>
  );
}

function nameOf(test: ILoadTest, trans: TranslationBundle): string {
  return trans.__('r%1, %2', test.revision, formatMoment(test.at));
}

function failuresOf(figures: ILoadTest['figures']): number {
  return figures.steps.reduce((sum, { failed }) => sum + failed, 0);
}

function resultOf(
  { figures, plan }: ILoadTest,
  trans: TranslationBundle
): string {
  const { steps, knee, stopped } = figures;
  const last = steps[steps.length - 1].rate;
  const limit = formatNumber(plan.limit_ms);
  if (knee === null) {
    return trans.__(
      'Already %1 requests/s are too many for %2 ms.',
      formatNumber(steps[0].rate),
      limit
    );
  }
  return knee === last && !stopped
    ? trans.__(
        '99 of 100 requests were answered within %1 ms at each rate, up to %2 requests/s.',
        limit,
        formatNumber(last)
      )
    : trans.__(
        'Up to %1 requests/s, 99 of 100 requests are answered within %2 ms.',
        formatNumber(knee),
        limit
      );
}

function comparedOf(
  test: ILoadTest,
  before: ILoadTest,
  trans: TranslationBundle
): string {
  const knee = before.figures.knee;
  return knee === null
    ? trans.__(
        '%1 had no rate at which they were in time.',
        nameOf(before, trans)
      )
    : trans.__(
        '%1: up to %2 requests/s.',
        nameOf(before, trans),
        formatNumber(knee)
      );
}
