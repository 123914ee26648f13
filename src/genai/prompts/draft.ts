import type { TranslationBundle } from '@jupyterlab/translation';

import type { components } from '../../api/generated';

type Schemas = components['schemas'];
type Turn = Schemas['Turn'];

/** MLflow keeps at most so many characters of a prompt's turns, and of its settings. */
export const MOST_CHARACTERS = 100_000;

/** A text that a person edits. JSON stays text, so that it can be wrong for a while. */
export interface IDraft {
  /** The name of a new prompt. */
  name: string;
  kind: 'text' | 'chat';
  turns: Turn[];
  settings: string;
  tools: string;
  schema: string;
  message: string;
  /** The newest version when the person began. */
  newest: string;
}

/** MLflow's own pattern of a variable. */
const VARIABLE =
  /\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*)\s*\}\}/g;

export function draftOf(
  version: Schemas['PromptVersion'] | undefined,
  newest: string
): IDraft {
  return {
    name: '',
    kind: version?.kind ?? 'chat',
    turns: version?.turns ?? [newTurn('system'), newTurn('user')],
    settings: shown(version?.settings),
    tools: shown(version?.tools),
    schema: shown(version?.response_format),
    message: '',
    newest
  };
}

export function newTurn(role: string): Turn {
  return { role, content: '', parts: [] };
}

/** The variables of a text, each once, in its order. */
export function variablesOf(turns: readonly Turn[]): string[] {
  const text = turns.map(({ content }) => content).join('\n');
  return [...new Set(Array.from(text.matchAll(VARIABLE), ([, name]) => name))];
}

/** Why a draft cannot be saved, by field; empty where it can be. */
export function problemsOf(
  draft: IDraft,
  isNew: boolean,
  trans: TranslationBundle
): Partial<Record<keyof IDraft, string>> {
  const found: Partial<Record<keyof IDraft, string>> = {};
  const size = draft.turns.reduce(
    (sum, { content }) => sum + content.length,
    0
  );
  if (isNew && !/^[a-zA-Z0-9_.-]{1,250}$/.test(draft.name.trim())) {
    found.name = trans.__(
      'Use up to 250 letters, digits, dots, hyphens and underscores.'
    );
  }
  if (size > MOST_CHARACTERS) {
    found.turns = trans.__(
      'The text has %1 characters; MLflow keeps at most %2.',
      size.toLocaleString(),
      MOST_CHARACTERS.toLocaleString()
    );
  } else if (
    !draft.turns.some(({ content, parts }) => content.trim() || parts.length)
  ) {
    found.turns = trans.__('The prompt is empty.');
  }
  for (const field of ['settings', 'tools', 'schema'] as const) {
    const problem = jsonProblem(draft[field], field === 'tools', trans);
    if (problem) {
      found[field] = problem;
    }
  }
  return found;
}

/** What is sent for a draft without problems. */
export function newVersion(
  draft: IDraft,
  expected: string | null
): Schemas['NewPromptVersion'] {
  return {
    kind: draft.kind,
    // A new prompt begins with two turns; models refuse those without a text.
    turns: draft.turns.filter(
      ({ content, parts }) => content.trim() || parts.length
    ),
    settings: parsed(draft.settings) ?? {},
    tools: parsed(draft.tools) ?? [],
    response_format: parsed(draft.schema) ?? null,
    message: draft.message.trim(),
    tags: {},
    alias: '',
    expected
  };
}

function parsed<T>(text: string): T | undefined {
  return text.trim() ? (JSON.parse(text) as T) : undefined;
}

function shown(value: unknown): string {
  const isEmpty =
    !value || (typeof value === 'object' && Object.keys(value).length === 0);
  return isEmpty ? '' : JSON.stringify(value, null, 2);
}

function jsonProblem(
  text: string,
  isList: boolean,
  trans: TranslationBundle
): string {
  let value: unknown;
  try {
    value = parsed(text);
  } catch (reason) {
    return trans.__('This is not JSON: %1', (reason as Error).message);
  }
  if (value === undefined) {
    return '';
  }
  if (isList) {
    return Array.isArray(value) ? '' : trans.__('Write a list: [ … ]');
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? ''
    : trans.__('Write an object: { … }');
}
