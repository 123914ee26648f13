import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Callout, DataTable } from '../../core';

import type { ILabelReport, LabelsModel } from './model';

type Judge = NonNullable<ILabelReport['judges']>[number];
type Mean = NonNullable<ILabelReport['corrected']>[number];
type Estimate = ILabelReport['between'];

/** What the labels of a queue show. */
export function LabelResults(props: {
  model: LabelsModel;
  report: ILabelReport;
}): React.ReactElement {
  const { model, report } = props;
  const { trans } = model;
  const means: DataTable.IColumn<Mean>[] = [
    {
      id: 'model',
      title: trans.__('Model'),
      isHead: true,
      cell: ({ model: name, against }) =>
        against ? trans.__('%1 less %2', name, against) : name
    },
    {
      id: 'judged',
      title: trans.__('By the judge'),
      cell: ({ judged }) => number(judged)
    },
    {
      id: 'corrected',
      title: trans.__('Corrected'),
      titleTip: trans.__(
        "The mean label of all answers; the judge's error is in the interval"
      ),
      cell: ({ corrected }) =>
        corrected.value === null
          ? trans.__('Too few labels')
          : withInterval(corrected)
    }
  ];
  return (
    <section
      className="gol-Labels-results"
      aria-label={trans.__('Results of the labels')}
    >
      <h3>{trans.__('Results')}</h3>
      <p>
        {trans.__(
          'Labels by rater: %1',
          report.raters
            .map(({ rater, labels }) => `${rater} ${labels}`)
            .join(', ')
        )}
      </p>
      {report.between.value !== null && (
        <p>
          {trans.__(
            'Agreement of the raters (alpha): %1',
            withInterval(report.between)
          )}
        </p>
      )}
      {(report.judges ?? []).map(({ scorer, verdict, calibrated }) =>
        verdict ? (
          <Callout
            key={scorer}
            tone={calibrated ? 'ok' : 'warning'}
            title={scorer}
          >
            {verdict}
          </Callout>
        ) : null
      )}
      {(report.judges ?? []).length > 0 && (
        <DataTable
          caption={trans.__('Scorers beside labels')}
          columns={agreementColumns(trans.__('Scorer'), trans)}
          rows={report.judges ?? []}
          rowKey={({ scorer }) => scorer}
        />
      )}
      {report.queue.evaluation &&
        (report.judges ?? []).some(({ criterion }) => criterion) && (
          <ActionButton
            label={trans.__('Align a judge…')}
            caption={trans.__('Let a model write a better criterion by labels')}
            onClick={() => model.showAlignments()}
          />
        )}
      {(report.corrected ?? []).length > 0 && (
        <DataTable
          caption={trans.__('Means, corrected by labels')}
          columns={means}
          rows={report.corrected ?? []}
          rowKey={({ scorer, model: name, against }) =>
            `${scorer}/${name}/${against ?? ''}`
          }
        />
      )}
      {(report.notes ?? []).map(each => (
        <p key={each} className="gol-Note">
          {each}
        </p>
      ))}
      {report.is_newer && (
        <p className="gol-Labels-update" role="status">
          {model.updating
            ? trans.__('The report of the evaluation is being made again…')
            : trans.__('The report of the evaluation lacks these labels.')}{' '}
          <ActionButton
            label={trans.__('Update the evaluation')}
            caption={trans.__('Make its report again. No model is asked.')}
            busy={model.updating}
            onClick={() => void model.updateEvaluation()}
          />
        </p>
      )}
      {report.queue.evaluation && (
        <ActionButton
          label={trans.__('Add answers on which scorers disagree')}
          caption={trans.__('They count for no rate of agreement')}
          onClick={() => void model.addDisagreements()}
        />
      )}
    </section>
  );
}

/** The columns of agreement with labels. `title`: of the first column. */
export function agreementColumns(
  title: string,
  trans: TranslationBundle
): DataTable.IColumn<Judge>[] {
  return [
    {
      id: 'scorer',
      title,
      isHead: true,
      cell: ({ scorer }) => scorer
    },
    {
      id: 'kappa',
      title: trans.__('Kappa'),
      titleTip: trans.__('Agreement beyond chance'),
      numeric: true,
      cell: ({ kappa }) => number(kappa.value)
    },
    {
      id: 'interval',
      title: trans.__('95 % interval'),
      numeric: true,
      cell: ({ kappa }) => interval(kappa)
    },
    {
      id: 'rate',
      title: trans.__('Equal'),
      titleTip: trans.__('The share of equal marks'),
      numeric: true,
      cell: ({ rate }) => share(rate)
    },
    {
      id: 'base',
      title: trans.__('Most common label'),
      titleTip: trans.__('Always this label would be equal as often'),
      numeric: true,
      cell: ({ base_rate }) => share(base_rate)
    },
    {
      id: 'labels',
      title: trans.__('Labels'),
      numeric: true,
      cell: ({ kappa }) => String(kappa.n)
    },
    {
      id: 'missing',
      title: trans.__('Not marked'),
      numeric: true,
      cell: ({ not_marked }) => String(not_marked)
    }
  ];
}

function number(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toFixed(2);
}

function share(value: number | null | undefined): string {
  return value === null || value === undefined
    ? '–'
    : `${Math.round(value * 100)} %`;
}

function interval({ low, high }: Estimate): string {
  return low === null || high === null
    ? '–'
    : `${number(low)} – ${number(high)}`;
}

function withInterval(estimate: Estimate): string {
  return `${number(estimate.value)} (${interval(estimate)})`;
}
