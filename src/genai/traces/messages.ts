/** Words, colours and figures of traces and spans. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../../core';
import { lineColor } from '../../core/charts/look';

import type { ITokens } from './service';

/** The series' colours of kinds of spans; other kinds have the last one. */
const COLORS: Readonly<Record<string, number>> = {
  LLM: 0,
  CHAT_MODEL: 0,
  TOOL: 2,
  RETRIEVER: 1,
  EMBEDDING: 4,
  RERANKER: 4,
  AGENT: 5
};
const OTHER = 3;

/** Return the colour of a kind's bars. */
export function kindColor(kind: string): string {
  return lineColor(COLORS[kind] ?? OTHER);
}

/** Return the word for a kind of span; a kind of the user's own stays as it is. */
export function kindWord(kind: string, trans: TranslationBundle): string {
  switch (kind) {
    case 'LLM':
      return trans.__('model');
    case 'CHAT_MODEL':
      return trans.__('chat model');
    case 'TOOL':
      return trans.__('tool');
    case 'RETRIEVER':
      return trans.__('retriever');
    case 'EMBEDDING':
      return trans.__('embedding');
    case 'RERANKER':
      return trans.__('reranker');
    case 'AGENT':
      return trans.__('agent');
    case 'CHAIN':
      return trans.__('chain');
    case 'PARSER':
      return trans.__('parser');
    case '':
    case 'UNKNOWN':
      return '';
    default:
      return kind.toLowerCase();
  }
}

/** Return the state of a span, or of a trace as MLflow calls it, as a badge. */
export function statusWord(
  status: string,
  trans: TranslationBundle
): { tone: Tone; label: string } {
  switch (status.toLowerCase()) {
    case 'ok':
      return { tone: 'ok', label: trans.__('OK') };
    case 'error':
      return { tone: 'error', label: trans.__('Error') };
    case 'running':
    case 'in_progress':
      return { tone: 'busy', label: trans.__('In progress') };
    default:
      return { tone: 'idle', label: trans.__('No status') };
  }
}

/** Return the word for the speaker of a chat turn. */
export function roleWord(role: string, trans: TranslationBundle): string {
  switch (role) {
    case 'system':
      return trans.__('System');
    case 'developer':
      return trans.__('Developer');
    case 'user':
      return trans.__('User');
    case 'assistant':
      return trans.__('Assistant');
    case 'tool':
      return trans.__('Tool');
    default:
      return role || trans.__('Message');
  }
}

/** Return the known tokens of a call together; null if none is known. */
export function tokenTotal(tokens: ITokens | null | undefined): number | null {
  const { input = null, output = null } = tokens ?? {};
  return input === null && output === null
    ? null
    : (input ?? 0) + (output ?? 0);
}

/** Return the tokens of a call by their kind, a line for each. */
export function tokenWords(tokens: ITokens, trans: TranslationBundle): string {
  const { input, output, cached_input: cached, reasoning } = tokens;
  const unknown = trans.__('unknown');
  const figure = (count: number | null | undefined) =>
    count === null || count === undefined ? unknown : count.toLocaleString();
  return [
    trans.__('Input tokens: %1', figure(input)),
    ...(typeof cached === 'number'
      ? [trans.__('From the cache: %1', figure(cached))]
      : []),
    trans.__('Output tokens: %1', figure(output)),
    ...(typeof reasoning === 'number'
      ? [trans.__('Reasoning tokens: %1', figure(reasoning))]
      : [])
  ].join('\n');
}
