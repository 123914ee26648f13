import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMoney } from '../../core/money';
import type { Tone } from '../../core/ui/status-badge';

import type { IEndpoint, IEndpointStep } from './service';

/** The state of an endpoint: its tone, and the words for it. */
export function stateOf(
  { test }: IEndpoint,
  trans: TranslationBundle
): [Tone, string] {
  switch (test?.state) {
    case 'answers':
      return ['ok', trans.__('Answers')];
    case 'changed':
      return ['warning', trans.__('Another model answers')];
    case 'key_refused':
      return ['error', trans.__('Key refused')];
    case 'refused':
      return ['error', trans.__('Call refused')];
    case 'away':
      return ['error', trans.__('Does not answer')];
    default:
      return ['idle', trans.__('Not tested')];
  }
}

export function kindOf({ kind }: IEndpoint, trans: TranslationBundle): string {
  return {
    own: trans.__('Yours'),
    given: trans.__('Administrator'),
    deployment: trans.__('Deployment'),
    gateway: trans.__('MLflow gateway')
  }[kind];
}

export function taskOf({ task }: IEndpoint, trans: TranslationBundle): string {
  return task === 'embeddings' ? trans.__('Embeddings') : trans.__('Chat');
}

/** The prices of a million tokens; empty where they are not known. */
export function priceOf(
  { price }: IEndpoint,
  trans: TranslationBundle
): string {
  return price
    ? trans.__(
        '%1 in, %2 out (%3)',
        price.input,
        price.output,
        price.currency ?? 'USD'
      )
    : '';
}

export function limitsOf(
  { limits, price }: IEndpoint,
  trans: TranslationBundle
): string {
  const parts = [trans.__('%1 at once', limits?.at_once ?? 8)];
  if (limits?.requests_per_minute) {
    parts.push(trans.__('%1 calls/min', limits.requests_per_minute));
  }
  if (limits?.tokens_per_minute) {
    parts.push(trans.__('%1 tokens/min', limits.tokens_per_minute));
  }
  if (limits?.tokens) {
    parts.push(trans.__('%1 tokens/evaluation', limits.tokens));
  }
  if (limits?.money) {
    parts.push(
      trans.__(
        '%1/evaluation',
        formatMoney(limits.money, price?.currency, 'given')
      )
    );
  }
  return parts.join(', ');
}

/** The steps of a test, in their order, with their titles. */
export function stepTitles(
  trans: TranslationBundle
): [IEndpointStep['step'], string][] {
  return [
    ['name', trans.__('Name')],
    ['address', trans.__('Address')],
    ['tls', trans.__('TLS')],
    ['key', trans.__('Key')],
    ['model', trans.__('Model')],
    ['answers', trans.__('Answers')],
    ['tokens', trans.__('Tokens')],
    ['streams', trans.__('Streaming')],
    ['limits', trans.__('Limits')],
    ['fingerprint', trans.__('Fingerprint')]
  ];
}
