/** The words for nodes and edges. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMoment } from '../core';

import type { ILineageEdge, ILineageFold, ILineageNode } from './layout';

/** Digits of a commit that are shown. */
const SHORT = 8;

/** The kind of an object. */
export function kindOf(
  { kind }: Pick<ILineageNode, 'kind'>,
  trans: TranslationBundle
): string {
  return {
    data: trans.__('Data set'),
    base: trans.__('Base model'),
    commit: trans.__('Commit'),
    run: trans.__('Run'),
    version: trans.__('Model version'),
    deployment: trans.__('Deployment')
  }[kind];
}

/** The name of an object. */
export function nameOf(node: ILineageNode, trans: TranslationBundle): string {
  switch (node.kind) {
    case 'version':
      return trans.__('%1 version %2', node.name, node.version);
    case 'commit':
      return node.name.slice(0, SHORT);
    default:
      return node.name || node.run_id.slice(0, SHORT);
  }
}

/** The two facts that say most of an object. */
export function shortFacts(
  node: ILineageNode,
  trans: TranslationBundle
): string[] {
  const facts = (): (string | false)[] => {
    switch (node.kind) {
      case 'data':
        return [node.digest, fileName(node.source)];
      case 'run':
        return [
          !node.deleted &&
            node.status !== 'FINISHED' &&
            node.status.toLowerCase(),
          commitOf(node, trans),
          fileName(node.source),
          node.experiment
        ];
      case 'version':
        return [
          node.aliases.join(', '),
          node.source ||
            (node.run_id && trans.__('run %1', node.run_id.slice(0, SHORT)))
        ];
      case 'deployment':
        return [
          node.state,
          node.owner
            ? trans.__('of %1', node.owner)
            : trans.__('v%1', node.version)
        ];
      default:
        return [];
    }
  };
  return [node.deleted && trans.__('deleted'), ...facts()]
    .filter((fact): fact is string => Boolean(fact))
    .slice(0, 2);
}

/** All facts of an object: names and values. */
export function allFacts(
  node: ILineageNode,
  trans: TranslationBundle
): [string, string][] {
  const facts: [string, string][] = [
    [trans.__('Digest'), node.digest],
    [trans.__('Source'), node.source],
    [trans.__('Aliases'), node.aliases.join(', ')],
    [trans.__('State'), node.deleted ? trans.__('deleted') : node.state],
    [trans.__('Status'), node.deleted ? '' : node.status.toLowerCase()],
    [trans.__('Experiment'), node.experiment],
    [trans.__('User'), node.owner || node.user],
    [trans.__('Started'), node.started_at ? formatMoment(node.started_at) : ''],
    [trans.__('Commit'), commitOf(node, trans, Infinity)],
    [trans.__('Cells'), node.cells ? String(node.cells) : ''],
    [trans.__('Environment'), node.environment],
    [trans.__('Run'), node.run_id],
    [
      trans.__('Serves'),
      node.kind === 'deployment'
        ? trans.__('%1 version %2', node.model, node.version)
        : ''
    ]
  ];
  return facts.filter(([, value]) => value);
}

/** How the other object belongs to the one whose neighbours are listed. */
export function relationOf(
  { kind, context }: ILineageEdge,
  upward: boolean,
  trans: TranslationBundle
): string {
  if (kind === 'input') {
    return context || trans.__('input');
  }
  const [up, down] = {
    commit: [trans.__('made from'), trans.__('used by')],
    logged: [trans.__('logged by'), trans.__('logged')],
    evaluated: [trans.__('evaluated by'), trans.__('evaluated')],
    derived: [trans.__('derived from'), trans.__('became')],
    base: [trans.__('derived from'), trans.__('became')],
    serves: [trans.__('serves'), trans.__('deployed as')]
  }[kind];
  return upward ? up : down;
}

/** How many further objects are not shown. */
export function foldText(
  { kind, count, without_version, at_least }: ILineageFold,
  trans: TranslationBundle
): string {
  const told = count.toLocaleString();
  if (without_version) {
    return at_least
      ? trans._n(
          'At least %2 run without a version',
          'At least %2 runs without a version',
          count,
          told
        )
      : trans._n(
          '%2 run without a version',
          '%2 runs without a version',
          count,
          told
        );
  }
  switch (kind) {
    case 'run':
      return trans._n('and %2 more run', 'and %2 more runs', count, told);
    case 'version':
      return trans._n(
        'and %2 more version',
        'and %2 more versions',
        count,
        told
      );
    case 'deployment':
      return trans._n(
        'and %2 more deployment',
        'and %2 more deployments',
        count,
        told
      );
    case 'data':
      return trans._n(
        'and %2 more data set',
        'and %2 more data sets',
        count,
        told
      );
    default:
      return trans._n('and %2 more', 'and %2 more', count, told);
  }
}

function commitOf(
  node: ILineageNode,
  trans: TranslationBundle,
  digits = SHORT
): string {
  const commit = node.commit.slice(0, digits);
  return node.dirty && commit ? trans.__('%1 with changes', commit) : commit;
}

function fileName(path: string): string {
  return path.replace(/\/+$/, '').split('/').pop() ?? '';
}
