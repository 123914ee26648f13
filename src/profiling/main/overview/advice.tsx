import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { errorIcon, infoIcon, notTrustedIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Tone } from '../../../core';
import { ActionButton, CopyButton, StatusBadge } from '../../../core';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IAdvice, IProfileSummary } from '../../service';
import { PlaceLink } from '../place-link';
import type { IPlaces } from '../places';

/** Problems by cost, each with its evidence and a change. */
export function AdviceList(props: AdviceList.IProps): React.ReactElement {
  const { summary, trans } = props;
  const advice = [...summary.advice].sort(
    (one, other) => other.saving_us - one.saving_us
  );
  if (advice.length === 0) {
    return (
      <p className="gol-Profile-quiet">
        {trans.__('The trace shows no problem that GenOps Lab knows.')}
      </p>
    );
  }
  return (
    <>
      {summary.incomplete && (
        <p className="gol-Profile-quiet">
          {trans.__(
            'The trace is incomplete: the advice covers only the part that could be read.'
          )}
        </p>
      )}
      <ol className="gol-Advice">
        {advice.map((each, place) => (
          <li key={place} className={`gol-mod-${each.severity}`}>
            <OneAdvice
              {...props}
              advice={each}
              whole={wholeOf(summary, each)}
            />
          </li>
        ))}
      </ol>
    </>
  );
}

export namespace AdviceList {
  export interface IProps {
    summary: IProfileSummary;
    places: IPlaces;
    notebook: string;
    /** Show the moments of an advice in the timeline; null if there is none. */
    onMoments: ((advice: IAdvice) => void) | null;
    trans: TranslationBundle;
  }
}

/**
 * The time that a saving is a share of: the longest device of its rank, or of
 * all ranks if it compares them; without devices, the host.
 */
function wholeOf(summary: IProfileSummary, advice: IAdvice): number {
  const everywhere = advice.rank === null || advice.code === 'straggler';
  const spans = summary.devices
    .filter(({ rank }) => everywhere || rank === advice.rank)
    .map(({ span_us }) => span_us);
  return spans.length > 0
    ? Math.max(...spans)
    : summary.cpu.span_us / Math.max(summary.ranks.length, 1);
}

function OneAdvice(
  props: AdviceList.IProps & { advice: IAdvice; whole: number }
): React.ReactElement {
  const { advice, whole, places, notebook, onMoments, trans } = props;
  const [tone, icon, severity] = severityOf(advice, trans);
  return (
    <article aria-label={advice.title}>
      <header className="gol-Advice-head">
        <StatusBadge tone={tone} icon={icon} label={severity} />
        <h4>{advice.title}</h4>
        {advice.saving_us > 0 && (
          <span
            className="gol-Advice-saving"
            title={
              props.summary.measured
                ? trans.__('Upper bound of the GPU kernel time that this saves')
                : trans.__('Upper bound of the traced time that this saves')
            }
          >
            {trans.__(
              'up to %1 (%2)',
              formatMicroseconds(advice.saving_us),
              formatShare(advice.saving_us, whole)
            )}
          </span>
        )}
      </header>
      <p>
        {advice.rank !== null && summaryHasRanks(props.summary)
          ? trans.__('Rank %1: %2', advice.rank, advice.evidence)
          : advice.evidence}
      </p>
      {onMoments && (advice.moments ?? []).length > 0 && (
        <p>
          <ActionButton
            label={trans.__('Show in the timeline')}
            caption={trans.__('Show “%1” in the timeline', advice.title)}
            onClick={() => onMoments(advice)}
          />
        </p>
      )}
      {advice.places.length > 0 && (
        <ul className="gol-Advice-places" aria-label={trans.__('Line')}>
          {advice.places.map((place, index) => (
            <li key={index}>
              <PlaceLink
                place={place}
                places={places}
                notebook={notebook}
                trans={trans}
              />
              {place.text && <code>{place.text.trim()}</code>}
            </li>
          ))}
        </ul>
      )}
      {advice.suggestion && (
        <p className="gol-Advice-change">{advice.suggestion}</p>
      )}
      {advice.code_hint && (
        <div className="gol-Advice-code">
          <pre tabIndex={0} aria-label={trans.__('Code')}>
            {advice.code_hint}
          </pre>
          <CopyButton
            text={advice.code_hint}
            label={trans.__('Copy the code')}
            trans={trans}
          />
        </div>
      )}
    </article>
  );
}

function summaryHasRanks({ ranks }: IProfileSummary): boolean {
  return ranks.length > 1;
}

function severityOf(
  { severity }: IAdvice,
  trans: TranslationBundle
): [Tone, LabIcon, string] {
  const words: Record<IAdvice['severity'], [Tone, LabIcon, string]> = {
    high: ['error', errorIcon, trans.__('High')],
    medium: ['warning', notTrustedIcon, trans.__('Medium')],
    low: ['idle', infoIcon, trans.__('Low')]
  };
  return words[severity];
}
