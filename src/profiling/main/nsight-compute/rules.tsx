import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { errorIcon, infoIcon, notTrustedIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Tone } from '../../../core';
import { Disclosure, StatusBadge } from '../../../core';
import { formatMicroseconds } from '../../figures';
import type { IKernelRule, IMeasuredKernel } from '../../service';

import { changesOf, isSmall, remarksOf, savingOf } from './sums';
import { percent } from './messages';

/** Rule results of Nsight Compute: changes by saving, then notes, folded. */
export function Rules(props: Rules.IProps): React.ReactElement {
  const { kernel, trans } = props;
  const changes = changesOf(kernel);
  const small = changes.filter(isSmall);
  const remarks = remarksOf(kernel);
  return (
    <>
      {changes.length > small.length && (
        <Listed {...props} rules={changes.filter(each => !isSmall(each))} />
      )}
      {changes.length === 0 && (
        <p className="gol-Profile-quiet">
          {kernel.rules.length > 0
            ? trans.__('The rules of Nsight Compute found nothing to change.')
            : trans.__(
                'The report has no rule results. Measure with sections that have rules, and without --apply-rules no.'
              )}
        </p>
      )}
      {small.length > 0 && (
        <Disclosure
          title={trans._n(
            '%1 change that saves less than 1 % of the kernel’s time',
            '%1 changes that each save less than 1 % of the kernel’s time',
            small.length
          )}
        >
          <Listed {...props} rules={small} />
        </Disclosure>
      )}
      {remarks.length > 0 && (
        <Disclosure title={trans._n('%1 note', '%1 notes', remarks.length)}>
          <Listed {...props} rules={remarks} />
        </Disclosure>
      )}
    </>
  );
}

function Listed(
  props: Rules.IProps & { rules: readonly IKernelRule[] }
): React.ReactElement {
  const { rules, kernel, trans } = props;
  return (
    <ol className="gol-Advice gol-Measured-rules">
      {rules.map((rule, place) => (
        <li key={place} className={`gol-mod-${severityOf(rule, kernel)}`}>
          <OneRule rule={rule} kernel={kernel} trans={trans} />
        </li>
      ))}
    </ol>
  );
}

export namespace Rules {
  export interface IProps {
    kernel: IMeasuredKernel;
    trans: TranslationBundle;
  }
}

function OneRule(
  props: Rules.IProps & { rule: IKernelRule }
): React.ReactElement {
  const { rule, kernel, trans } = props;
  const title = rule.title || rule.identifier;
  const badge = badgeOf(rule, trans);
  const gain = gainWords(rule, kernel, trans);
  return (
    <article aria-label={title}>
      <header className="gol-Advice-head">
        {badge && (
          <StatusBadge tone={badge[0]} icon={badge[1]} label={badge[2]} />
        )}
        <h5 title={[rule.section, rule.identifier].filter(Boolean).join(', ')}>
          {title}
        </h5>
        {gain && <span className="gol-Advice-saving">{gain}</span>}
      </header>
      <p>
        <LinkedText text={rule.text} />
      </p>
    </article>
  );
}

/** The estimate of a rule as text; empty without an estimate. */
export function gainWords(
  rule: IKernelRule,
  kernel: Pick<IMeasuredKernel, 'total_us'>,
  trans: TranslationBundle
): string {
  if (rule.speedup_pct === null) {
    return '';
  }
  const saved = savingOf(rule, kernel);
  return saved === null
    ? trans.__('up to %1 of the peak of this part', percent(rule.speedup_pct))
    : trans.__(
        'up to %1 of the kernel’s time (%2)',
        percent(rule.speedup_pct),
        formatMicroseconds(saved)
      );
}

/**
 * The colour of the edge, as for advice: by the share of the kernel's own time.
 */
function severityOf(
  rule: IKernelRule,
  kernel: IMeasuredKernel
): 'high' | 'medium' | 'low' {
  if (rule.kind === 'error') {
    return 'high';
  }
  const share =
    savingOf(rule, kernel) === null ? 0 : (rule.speedup_pct ?? 0) / 100;
  return share >= 0.1 ? 'high' : share >= 0.03 ? 'medium' : 'low';
}

function badgeOf(
  { kind }: IKernelRule,
  trans: TranslationBundle
): [Tone, LabIcon, string] | null {
  switch (kind) {
    case 'error':
      return ['error', errorIcon, trans.__('Error')];
    case 'warning':
      return ['warning', notTrustedIcon, trans.__('Warning')];
    case 'info':
      return ['idle', infoIcon, trans.__('Note')];
    default:
      return null;
  }
}

const ADDRESS = /https?:\/\/[^\s()<>"]+/g;

/** The host name ends with the slash, so no other host matches. */
const DOCUMENTATION = /^https:\/\/docs\.nvidia\.com(\/|$)/;

/**
 * Text from a report. It is never markup; an address of NVIDIA's documentation
 * is a link, any other address is text.
 */
export function LinkedText({ text }: { text: string }): React.ReactElement {
  const parts: React.ReactNode[] = [];
  let done = 0;
  for (const found of text.matchAll(ADDRESS)) {
    // Punctuation at the end of a sentence is not part of the address.
    const address = found[0].replace(/[.,;:!?\]'’”]+$/, '');
    if (DOCUMENTATION.test(address)) {
      parts.push(
        text.slice(done, found.index),
        <a
          key={found.index}
          className="gol-Measured-link"
          href={address}
          target="_blank"
          rel="noopener noreferrer"
        >
          {address}
        </a>
      );
      done = found.index + address.length;
    }
  }
  return (
    <>
      {parts}
      {text.slice(done)}
    </>
  );
}
