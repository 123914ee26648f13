/** Names and default widths of columns. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IAggregate } from './service';

export type ColumnGroup = 'attribute' | 'metric' | 'param' | 'tag';

/** Tags with a label of their own. */
export const NOTE = 'tags.mlflow.note.content';
/** The columns of a run's name, status and id. */
export const NAME = 'run_name';
/** Attributes that are times. */
export const TIMES: readonly string[] = [
  'start_time',
  'end_time',
  'created',
  'updated'
];

const PREFIXES: readonly [string, ColumnGroup][] = [
  ['metrics.', 'metric'],
  ['params.', 'param'],
  ['tags.', 'tag']
];

const WIDTHS: Record<string, number> = {
  run_name: 220,
  status: 84,
  start_time: 108,
  end_time: 108,
  duration: 96,
  user: 96,
  experiment: 140,
  model: 200,
  version: 76,
  created: 108,
  updated: 108,
  aliases: 160,
  gates: 150,
  deployed: 130,
  format: 130,
  run: 150,
  source: 200,
  description: 200,
  name: 180,
  request: 220,
  response: 220,
  [NOTE]: 220
};

/** Return the kind of a column. */
export function groupOfColumn(column: string): ColumnGroup {
  return (
    PREFIXES.find(([prefix]) => column.startsWith(prefix))?.[1] ?? 'attribute'
  );
}

/**
 * Return a column's label: the name without its prefix, or the word of an
 * attribute.
 */
export function columnLabel(column: string, trans: TranslationBundle): string {
  switch (column) {
    case 'run_name':
      return trans.__('Name');
    case 'run_id':
      return trans.__('Run id');
    case 'status':
      return trans.__('Status');
    case 'start_time':
      return trans.__('Started');
    case 'end_time':
      return trans.__('Ended');
    case 'duration':
      return trans.__('Duration');
    case 'user':
      return trans.__('User');
    case 'experiment':
      return trans.__('Experiment');
    case 'experiment_id':
      return trans.__('Experiment id');
    case 'artifact_uri':
      return trans.__('Artifacts at');
    case 'lifecycle_stage':
      return trans.__('Active or deleted');
    case NOTE:
      return trans.__('Note');
    case 'model':
      return trans.__('Model');
    case 'version':
      return trans.__('Version');
    case 'created':
      return trans.__('Created');
    case 'updated':
      return trans.__('Updated');
    case 'aliases':
      return trans.__('Aliases');
    case 'gates':
      return trans.__('Gates');
    case 'format':
      return trans.__('Format');
    case 'deployed':
      return trans.__('Deployed as');
    case 'run':
      return trans.__('Run');
    case 'source':
      return trans.__('Files at');
    case 'origin':
      return trans.__('Origin');
    case 'parent':
      return trans.__('Derived from');
    case 'base_model':
      return trans.__('Base model');
    case 'stage':
      return trans.__('Stage');
    case 'description':
      return trans.__('Description');
    case 'name':
      return trans.__('Name');
    case 'trace_id':
      return trans.__('Trace id');
    case 'request':
      return trans.__('Request');
    case 'response':
      return trans.__('Response');
    case 'session':
      return trans.__('Session');
    case 'spans':
      return trans.__('Spans');
    case 'tokens':
      return trans.__('Tokens');
    case 'input_tokens':
      return trans.__('Input tokens');
    case 'output_tokens':
      return trans.__('Output tokens');
    case 'cost':
      return trans.__('Cost');
    case 'model_id':
      return trans.__('Model id');
    case 'notebook':
      return trans.__('Notebook');
    case 'cell':
      return trans.__('Cell');
    default:
      return PREFIXES.reduce(
        (name, [prefix]) =>
          name.startsWith(prefix) ? name.slice(prefix.length) : name,
        column
      );
  }
}

/**
 * Return the kind of a column as a word beside its name; empty for attributes.
 */
export function groupWord(
  group: ColumnGroup,
  trans: TranslationBundle
): string {
  switch (group) {
    case 'metric':
      return trans.__('metric');
    case 'param':
      return trans.__('parameter');
    case 'tag':
      return trans.__('tag');
    case 'attribute':
      return '';
  }
}

/** Return the word for an aggregate. */
export function aggregateWord(
  how: IAggregate,
  trans: TranslationBundle
): string {
  switch (how) {
    case 'mean':
      return trans.__('Mean');
    case 'min':
      return trans.__('Smallest');
    case 'max':
      return trans.__('Largest');
  }
}

/** In pixels. */
export function defaultWidth(column: string, trans: TranslationBundle): number {
  const letters = columnLabel(column, trans).length;
  // A metric's best value is shown beside its last.
  const least = groupOfColumn(column) === 'metric' ? 136 : 96;
  return WIDTHS[column] ?? Math.max(least, Math.min(190, 60 + 7 * letters));
}
