import type { components } from '../../api/generated';

type Schemas = components['schemas'];
type State = Record<string, unknown>;

/**
 * Rows of a long sweep: the last trials and the best one, as in `sweeping.py`.
 */
const MOST_TRIALS = 100;
const DIVERGED = 'genops.diverged';

/** Return the state of a run's card from MLflow's data, without its curves. */
export function runState(run: Schemas['Run']): State {
  const { run_id, name, params, started_at, ended_at } = run;
  const status = run.status === 'SCHEDULED' ? 'RUNNING' : run.status;
  const diverged = (run.tags[DIVERGED] ?? '')
    .split(', ')
    .map(note => note.split(' is '))
    .filter(parts => parts.length === 2);
  return {
    run_id,
    title: name,
    status,
    params,
    started_at,
    ended_at,
    diverged: Object.fromEntries(diverged),
    message: ''
  };
}

/** Return the state of a deployment's card, without its key. */
export function deploymentState(deployment: Schemas['Deployment']): State {
  const { name, model, version, state, url, requests, errors } = deployment;
  const { latency_ms, lease_until, message, hint } = deployment;
  return {
    ...{ name, model, version, state, url, requests, errors },
    ...{ latency_ms, lease_until, message, hint }
  };
}

/** Return the state of a sweep's card. */
export function sweepState(sweep: Schemas['Sweep']): State {
  const { id, name, state, metric, planned, best, trials } = sweep;
  const { message, hint, summary } = sweep;
  const counts: Record<string, number> = {};
  for (const trial of trials) {
    counts[trial.state] = (counts[trial.state] ?? 0) + 1;
  }
  const rows = trials.slice(-MOST_TRIALS);
  const winner = trials.find(trial => trial.number === best);
  return {
    ...{ id, name, state, metric, planned, best, message, hint, summary },
    counts,
    trials: winner && !rows.includes(winner) ? [winner, ...rows] : rows,
    series: metric ? objective(sweep) : {}
  };
}

/** The metric of each finished trial, and the best so far. */
function objective({ metric, direction, trials }: Schemas['Sweep']): State {
  const points = trials.filter(
    trial => trial.state === 'finished' && trial.value !== null
  );
  const steps = points.map(trial => trial.number);
  const values = points.map(trial => trial.value as number);
  const better = direction === 'minimize' ? Math.min : Math.max;
  const best = values.map((_, end) => better(...values.slice(0, end + 1)));
  return {
    [metric]: { steps, values },
    'best so far': { steps, values: best }
  };
}
