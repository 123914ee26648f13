import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMicroseconds } from '../../figures';
import { formatValue } from '../counters';
import type { IPlacedGroup } from '../lanes';
import type { TimelineModel } from '../model';
import type { ICollectiveMoment, ITimelineLane } from '../service';

export function kindWord(kind: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    operator: trans.__('operator'),
    python: trans.__('Python function'),
    annotation: trans.__('annotation'),
    device_annotation: trans.__('device annotation'),
    runtime: trans.__('runtime call'),
    overhead: trans.__('profiler overhead'),
    wait: trans.__('wait'),
    compute: trans.__('GPU kernel'),
    communication: trans.__('communication'),
    copy: trans.__('copy'),
    fill: trans.__('fill'),
    counter: trans.__('counter')
  };
  return words[kind] ?? trans.__('other');
}

/** The name of a group of lanes. */
export function groupWords(
  { kind, name, rank, lanes }: IPlacedGroup,
  trans: TranslationBundle
): string {
  return {
    group: name,
    rank: trans.__('Rank %1', rank),
    host: trans._n('%1 host lane', '%1 host lanes', lanes)
  }[kind];
}

/** A lane's name, with its rank where there are several. */
export function laneWords(
  { label, rank }: ITimelineLane,
  trans: TranslationBundle
): string {
  return (rank ?? null) === null ? label : trans.__('rank %1, %2', rank, label);
}

/** The rank that started a collective last, and its delay. */
export function lateWords(
  { parts, trust_us }: ICollectiveMoment,
  trans: TranslationBundle
): string {
  const [first, ...others] = [...parts].sort(
    (one, other) => one.late_us - other.late_us
  );
  const last = others[others.length - 1];
  return last.late_us > trust_us
    ? trans.__(
        'Rank %1 started last, %2 after rank %3',
        last.rank,
        formatMicroseconds(last.late_us),
        first.rank
      )
    : trans.__(
        'all ranks started within %1, the accuracy of their clocks',
        formatMicroseconds(trust_us)
      );
}

/** The selection as text, for users who do not see the canvas. */
export function selectionText(
  model: TimelineModel,
  trans: TranslationBundle
): string {
  const { details, range, sums } = model;
  if (details) {
    const { slice, launched_by: launch, launches } = details;
    const { forward, backwards, collective } = details;
    const lane = model.laneOf(slice);
    const { counter } = details;
    if (counter) {
      return trans.__(
        '%1: %2 from %3, for %4',
        lane ? laneWords(lane, trans) : slice.name,
        formatValue(counter.value, counter.unit),
        formatMicroseconds(slice.start_us),
        formatMicroseconds(slice.dur_us)
      );
    }
    return [
      trans.__(
        '%1, %2, %3 long, starts at %4, in %5',
        slice.name,
        kindWord(slice.kind, trans),
        formatMicroseconds(slice.dur_us),
        formatMicroseconds(slice.start_us),
        lane ? laneWords(lane, trans) : ''
      ),
      launch ? trans.__('launched by %1', launch.name) : '',
      launches ? trans._n('%1 launch', '%1 launches', launches) : '',
      forward ? trans.__('backward pass of %1', forward.name) : '',
      backwards
        ? trans._n(
            '%1 slice in the backward pass',
            '%1 slices in the backward pass',
            backwards
          )
        : '',
      collective ? lateWords(collective, trans) : ''
    ]
      .filter(Boolean)
      .join('; ');
  }
  if (range && sums) {
    return trans.__(
      '%1 selected: %2 slices, busy for %3',
      formatMicroseconds((range.last - range.first) / 1000),
      sums.slices.toLocaleString(),
      formatMicroseconds(sums.busy_us)
    );
  }
  return '';
}
