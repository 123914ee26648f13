import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure, ResourceView, ShowMore, formatMoment } from '../../core';
import type { PagedResource } from '../../core';

import type { ILineageFold, ILineageNode } from '../layout';
import { foldText, nameOf, shortFacts } from '../messages';

/** The runs that lead to no version, newest first; read when the list is opened. */
export function RunsWithoutVersion(props: {
  fold: ILineageFold;
  runs: () => PagedResource<ILineageNode>;
  isOpen: boolean;
  onToggle: (open: boolean) => void;
  open: (node: ILineageNode) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { fold, runs, isOpen, onToggle, open, trans } = props;
  return (
    <Disclosure title={foldText(fold, trans)} open={isOpen} onToggle={onToggle}>
      <Runs runs={runs} open={open} trans={trans} />
    </Disclosure>
  );
}

function Runs(props: {
  runs: () => PagedResource<ILineageNode>;
  open: (node: ILineageNode) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { runs, open, trans } = props;
  const list = React.useMemo(runs, [runs]);
  React.useEffect(() => {
    void list.refresh();
    return () => list.dispose();
  }, [list]);
  return (
    <ResourceView
      resource={list}
      trans={trans}
      down={trans.__('The runs cannot be read.')}
      empty={
        <p className="gol-Note">
          {trans.__('All runs have a version by now.')}
        </p>
      }
    >
      {nodes => (
        <>
          <ul
            className="gol-Lineage-list"
            aria-label={trans.__('Runs without a version')}
          >
            {nodes.map(node => (
              <li key={node.id}>
                <button
                  type="button"
                  className="gol-LinkButton"
                  onClick={() => open(node)}
                >
                  {nameOf(node, trans)}
                </button>
                <span className="gol-Lineage-relation">
                  {[
                    node.started_at && formatMoment(node.started_at),
                    ...shortFacts(node, trans)
                  ]
                    .filter(Boolean)
                    .join(' · ')}
                </span>
              </li>
            ))}
          </ul>
          <ShowMore list={list} trans={trans} />
        </>
      )}
    </ResourceView>
  );
}
