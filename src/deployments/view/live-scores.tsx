import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { components } from '../../api/generated';
import { ActionButton, ApiError, Disclosure, Facts } from '../../core';
import { formatNumber } from '../../core/format';
import { formatMoney } from '../../core/money';

import type { DeploymentsService, IDeployment } from '../service';

type IScores = components['schemas']['OnlineScorers'];
type IScorer = components['schemas']['OnlineScorer'];

/** The scores of a deployment's live traces; nothing where no scorer looks at them, or who asks may not read them. */
export function LiveScores(props: {
  deployment: IDeployment;
  service: DeploymentsService;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { deployment, service, trans } = props;
  const { name } = deployment;
  const [scores, setScores] = React.useState<IScores>();
  const [problem, setProblem] = React.useState('');
  // Each batch of scores is an event of the deployment, which makes a new object of it.
  React.useEffect(() => {
    const stop = new AbortController();
    const { api } = service;
    const asked = { params: { path: { name } }, signal: stop.signal };
    api
      .data(api.http.GET('/deployments/{name}/online-scorers', asked))
      .then(setScores, () => undefined);
    return () => stop.abort();
  }, [service, name, deployment]);
  if (scores === undefined || scores.state === 'off') {
    return null;
  }
  const paused = scores.state === 'paused';
  const turn = async () => {
    try {
      const { api } = service;
      const asked = { params: { path: { name } } };
      setScores(
        await api.data(
          paused
            ? api.http.POST('/deployments/{name}/online-scorers/resume', asked)
            : api.http.POST('/deployments/{name}/online-scorers/pause', asked)
        )
      );
      setProblem('');
    } catch (reason) {
      setProblem(ApiError.from(reason, trans).message);
    }
  };
  return (
    <Disclosure title={trans.__('Scores of live traces')}>
      <Facts
        facts={[
          ...scores.scorers.map(each => {
            const mean = meanText(each, trans);
            return [each.scorer, mean, { caption: mean }] as const;
          }),
          costFact(scores, trans)
        ]}
      />
      {scores.scorers.map(each => (
        <p className="gol-Note" key={`of ${each.scorer}`}>
          {trans.__('%1: %2', each.scorer, countsText(each, trans))}
        </p>
      ))}
      {scores.sentences.map(each => (
        <p className="gol-Note" key={each}>
          {each}
        </p>
      ))}
      {problem && (
        <p className="gol-Note" role="alert">
          {problem}
        </p>
      )}
      <div className="gol-Actions">
        <ActionButton
          label={
            paused
              ? trans.__('Resume the scorers')
              : trans.__('Pause the scorers')
          }
          caption={trans.__('New traces of the sample wait while it is paused')}
          onClick={() => void turn()}
        />
      </div>
    </Disclosure>
  );
}

/** The mean with its interval at 95 %. */
export function meanText(each: IScorer, trans: TranslationBundle): string {
  const { value, low, high } = each.mean ?? {};
  if (typeof value !== 'number') {
    return '–';
  }
  const mean = shortened(value, 3);
  return typeof low === 'number' && typeof high === 'number'
    ? trans.__('%1 (%2 to %3)', mean, shortened(low, 2), shortened(high, 2))
    : mean;
}

/** How many traces have which state. */
export function countsText(each: IScorer, trans: TranslationBundle): string {
  const counts = [trans.__('%1 scored', each.scored.toLocaleString())];
  if (each.not_scored) {
    counts.push(trans.__('%1 not scored', each.not_scored.toLocaleString()));
  }
  if (each.waiting) {
    counts.push(trans.__('%1 waiting', each.waiting.toLocaleString()));
  }
  if (each.left_out) {
    counts.push(trans.__('%1 left out', each.left_out.toLocaleString()));
  }
  return counts.join(', ');
}

function shortened(value: number, digits: number): string {
  return formatNumber(Number(value.toPrecision(digits)));
}

function costFact(
  scores: IScores,
  trans: TranslationBundle
): [string, string] | null {
  const { money_today: today, money_per_day: most, currency } = scores;
  if (typeof today !== 'number' && typeof most !== 'number') {
    return null;
  }
  const spent = formatMoney(today ?? 0, currency);
  return [
    trans.__('Cost today (UTC)'),
    typeof most === 'number'
      ? trans.__('%1 of %2', spent, formatNumber(most))
      : spent
  ];
}
