import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ILineage, ILineageNode } from '../layout';
import { foldText, kindOf, nameOf, relationOf, shortFacts } from '../messages';

interface IProps {
  lineage: ILineage;
  open: (node: ILineageNode) => void;
  trans: TranslationBundle;
}

/** The lineage as two nested lists: what the object was made from, and what stands on it. */
export function LineageList(props: IProps): React.ReactElement {
  const { lineage, trans } = props;
  return (
    <>
      {[true, false].map(upward => {
        const title = upward ? trans.__('Made from') : trans.__('Stands on it');
        const drawn = new Set([lineage.root]);
        const branches = branch(props, lineage.root, upward, drawn);
        const folds = lineage.folds.filter(fold => fold.upward === upward);
        return (
          (branches ?? folds.length > 0) && (
            <React.Fragment key={title}>
              <h3>{title}</h3>
              {branches}
              {folds.map(fold => (
                <p
                  key={`${fold.kind} ${fold.column} ${fold.without_version}`}
                  className="gol-Note"
                >
                  {foldText(fold, trans)}
                </p>
              ))}
            </React.Fragment>
          )
        );
      })}
    </>
  );
}

/** The neighbours of a node as a list. One that is listed already has no branches, so that circles end. */
function branch(
  props: IProps,
  id: string,
  upward: boolean,
  drawn: Set<string>
): React.ReactElement | null {
  const { lineage, open, trans } = props;
  const there = lineage.edges.filter(
    edge => (upward ? edge.end : edge.start) === id
  );
  if (there.length === 0) {
    return null;
  }
  return (
    <ul className="gol-Lineage-list">
      {there.map(edge => {
        const other = upward ? edge.start : edge.end;
        const node = lineage.nodes.find(each => each.id === other)!;
        const isNew = !drawn.has(other);
        drawn.add(other);
        return (
          <li key={`${edge.kind} ${other}`}>
            <span className="gol-Lineage-relation">
              {relationOf(edge, upward, trans)}
            </span>
            <button
              type="button"
              className="gol-LinkButton"
              aria-label={trans.__(
                '%1 %2',
                kindOf(node, trans),
                nameOf(node, trans)
              )}
              onClick={() => open(node)}
            >
              {nameOf(node, trans)}
            </button>
            <span className="gol-Lineage-relation">
              {shortFacts(node, trans).join(' · ')}
            </span>
            {isNew && branch(props, other, upward, drawn)}
          </li>
        );
      })}
    </ul>
  );
}
