import type { components } from '../../api/generated';

import { scorersText } from './scorer-fields';

export type IPromptVersion = components['schemas']['PromptVersion'];

/** What the form "New evaluation" writes into a file. */
export interface INewFile {
  name: string;
  /** As the file names them: relative to its folder, `dataset:NAME` or `traces:QUERY`. */
  data: string;
  /** The text of the prompt; unused with `versions`. */
  prompt: string;
  /** Versions of a prompt that are compared. */
  versions: readonly IPromptVersion[];
  /** Names of endpoints. */
  models: readonly string[];
  /** YAML: a list, or the keys `scorers` and `judges`. */
  scorers: string;
  repeats: number;
  maxTokens: number;
  /** The most that each model may cost; NaN: no limit. */
  money: number;
}

/** The field of the form that a part of the file comes from. */
export type Part = 'name' | 'data' | 'prompt' | 'models' | 'scorers';

/** A part of the file: its lines are of one field. */
type Piece = readonly [part: Part, text: string];

/** Characters that YAML forbids or folds, and JSON leaves as they are. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;
/** A text whose block of YAML would be another text. */
const NO_BLOCK = /^\s|\n$|[^\P{C}\n\t]|[\u2028\u2029]/u;
/** Keys that YAML takes for a text without quotes. */
const PLAIN_KEY = /^(?!(true|false|yes|no|on|off|null|y|n)$)[a-z][\w.-]*$/i;

/** Return the text of an evaluation file. */
export function fileText(file: INewFile): string {
  return pieces(file)
    .map(([, text]) => text)
    .join('');
}

/** The field that a line of the file comes from; the first line is 1. YAML that is not closed is told at the end. */
export function partOf(file: INewFile, line: number): Part {
  let last = 0;
  const found = pieces(file).find(([, text]) => {
    last += text.split('\n').length - 1;
    return line <= last;
  });
  return found ? found[0] : 'scorers';
}

/** The data of a file in `folder`, for rows that are named from the folder of JupyterLab. */
export function dataFrom(folder: string, data: string): string {
  if (/^(\/|~|dataset:|traces:)/.test(data)) {
    return data;
  }
  const [from, to] = [folder, data].map(path =>
    path.split('/').filter(part => part && part !== '.')
  );
  let same = 0;
  while (same < from.length && from[same] === to[same]) {
    same += 1;
  }
  return [...from.slice(same).map(() => '..'), ...to.slice(same)].join('/');
}

/** Whether a version can be written into a file: it has texts alone. */
export function isPlain(version: IPromptVersion): boolean {
  const { turns, tools = [], templates, problem } = version;
  return (
    !problem &&
    !templates &&
    tools.length === 0 &&
    turns.every(
      ({ role, parts = [] }) =>
        parts.length === 0 && ['system', 'user', 'assistant'].includes(role)
    )
  );
}

function pieces(file: INewFile): Piece[] {
  const { versions, repeats, maxTokens, scorers } = file;
  const own: Piece[] =
    versions.length > 0 ? [] : [['prompt', `prompt: ${block(file.prompt)}\n`]];
  return [
    [
      'name',
      `apiVersion: genops/v1\nkind: Evaluation\nmetadata: {name: ${json(file.name)}}\n`
    ],
    ['data', `data: ${json(file.data)}\n`],
    ...own,
    ['models', 'models:\n'],
    ...modelPieces(file),
    ['models', `settings: {max_tokens: ${maxTokens}}\nrepeats: ${repeats}\n`],
    ['scorers', `${scorersText(scorers).trimEnd()}\n`]
  ];
}

/** Each model with each version, under a name of its own. */
function modelPieces({ models, versions, money }: INewFile): Piece[] {
  const taken = new Set<string>();
  return models.flatMap(endpoint =>
    (versions.length > 0 ? versions : [null]).map((version): Piece => {
      const label = labelOf(endpoint, version, models.length, taken);
      const keys = [`endpoint: ${json(endpoint)}`];
      if (!Number.isNaN(money)) {
        // YAML takes 1e-7 for a text.
        keys.push(`limits: {money: ${Number(money.toFixed(6))}}`);
      }
      if (version) {
        keys.push(`prompt: ${json(turnsOf(version))}`);
        const settings = settingsOf(version);
        if (Object.keys(settings).length > 0) {
          keys.push(`settings: ${json(settings)}`);
        }
      }
      return [
        version ? 'prompt' : 'models',
        `  ${PLAIN_KEY.test(label) ? label : json(label)}:\n${keys.map(key => `    ${key}\n`).join('')}`
      ];
    })
  );
}

function labelOf(
  endpoint: string,
  version: IPromptVersion | null,
  models: number,
  taken: Set<string>
): string {
  const plain = endpoint
    .replace(/^[a-z]+:/, '')
    .replace(/[^A-Za-z0-9_.-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 80);
  const parts = [
    ...(version === null || models > 1 ? [plain || 'model'] : []),
    ...(version ? [`v${version.version}`] : [])
  ];
  const wanted = parts.join('-');
  let label = wanted;
  for (let at = 2; taken.has(label); at++) {
    label = `${wanted}-${at}`;
  }
  taken.add(label);
  return label;
}

function turnsOf({
  turns
}: IPromptVersion): { role: string; content: string }[] {
  return turns.map(({ role, content = '' }) => ({ role, content }));
}

/** The settings of a version's calls, as a run on rows has them. */
function settingsOf(version: IPromptVersion): Record<string, unknown> {
  const kept = Object.fromEntries(
    Object.entries(version.settings ?? {}).filter(
      ([name]) => name !== 'model_name' && name !== 'provider'
    )
  );
  return version.response_format
    ? {
        ...kept,
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'answer', schema: version.response_format }
        }
      }
    : kept;
}

/** A text as a block where that keeps it, else in quotes. */
function block(text: string): string {
  if (!text.includes('\n') || NO_BLOCK.test(text)) {
    return json(text);
  }
  const lines = text.split('\n').map(line => (line ? `  ${line}` : ''));
  return `|-\n${lines.join('\n')}`;
}

/** JSON is YAML, but for a few characters. */
function json(value: unknown): string {
  return JSON.stringify(value).replace(
    UNSAFE,
    each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`
  );
}
