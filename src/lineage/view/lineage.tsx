import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  CopyButton,
  Disclosure,
  Facts,
  ResourceView
} from '../../core';
import type { PagedResource, Resource } from '../../core';
import { PageHead } from '../../core/ui/page';

import type { ILineage, ILineageNode } from '../layout';
import { allFacts, kindOf, nameOf } from '../messages';

import { LineageList } from './list';
import { LineagePicture } from './picture';
import { RunsWithoutVersion } from './runs';

import '../../../style/lineage/lineage.css';

/** What a page of lineage does with a node. */
export interface INodeActions {
  /** Open the run, model or deployment. */
  open: (node: ILineageNode) => void;
  /** Show the lineage of the node. */
  recentre: (node: ILineageNode) => void;
  /** Return the list of the runs without a version, to be disposed by the caller. */
  runs: () => PagedResource<ILineageNode>;
}

interface IProps extends INodeActions {
  resource: Resource<ILineage>;
  titleOf: (lineage: ILineage) => string;
  trans: TranslationBundle;
}

/** The page of a lineage in each of its states. */
export function LineageView(props: IProps): React.ReactElement {
  const { resource, titleOf, trans } = props;
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={trans.__('The lineage cannot be read.')}
      keepMounted
      empty={null}
    >
      {lineage => (
        <>
          <PageHead title={titleOf(lineage)} />
          <LineageContent {...props} lineage={lineage} />
        </>
      )}
    </ResourceView>
  );
}

/** The picture, the facts of the selected object, and the same as a list. */
export function LineageContent(
  props: INodeActions & { lineage: ILineage; trans: TranslationBundle }
): React.ReactElement {
  const { lineage, trans } = props;
  const [chosen, setChosen] = React.useState(lineage.root);
  const byId = new Map(lineage.nodes.map(node => [node.id, node]));
  const selected = byId.get(chosen) ?? byId.get(lineage.root)!;
  const group = lineage.folds.find(fold => fold.without_version);
  const [listed, setListed] = React.useState(false);
  const below = React.useRef<HTMLDivElement>(null);
  const alone = lineage.edges.length === 0 && !group;
  return (
    <>
      {lineage.notes.map(note => (
        <p key={note} className="gol-Note">
          {note}
        </p>
      ))}
      {alone && (
        <p className="gol-Note">
          {trans.__(
            'Nothing is known of what it was made from, and nothing stands on it.'
          )}
        </p>
      )}
      <div className="gol-Lineage">
        <LineagePicture
          {...props}
          selected={selected.id}
          onSelect={setChosen}
          listRuns={() => {
            setListed(true);
            below.current?.querySelector('button')?.focus();
          }}
        />
        <NodeDetail {...props} node={selected} />
      </div>
      {lineage.edges.some(({ kind }) => kind === 'evaluated') && (
        <p className="gol-Note">
          {trans.__('A dashed line leads from an evaluation to its version.')}
        </p>
      )}
      {group && (
        <div ref={below}>
          <RunsWithoutVersion
            {...props}
            fold={group}
            isOpen={listed}
            onToggle={setListed}
          />
        </div>
      )}
      {!alone && (
        <Disclosure title={trans.__('As a list')}>
          <LineageList {...props} />
        </Disclosure>
      )}
    </>
  );
}

function NodeDetail(
  props: INodeActions & {
    lineage: ILineage;
    node: ILineageNode;
    trans: TranslationBundle;
  }
): React.ReactElement {
  const { lineage, node, open, recentre, trans } = props;
  const name = nameOf(node, trans);
  const label = {
    run: trans.__('Open the run'),
    version: trans.__('Show in Models'),
    deployment: trans.__('Show in Deployments')
  }[node.kind as string];
  return (
    <section
      className="gol-Lineage-detail"
      aria-label={trans.__('Selected object')}
    >
      <p className="gol-Note">{kindOf(node, trans)}</p>
      <h3 title={node.name}>{name}</h3>
      <div className="gol-Actions">
        {label && !node.deleted && !node.owner && (
          <ActionButton label={label} onClick={() => open(node)} />
        )}
        {node.id !== lineage.root && (
          <ActionButton
            label={trans.__('Show its lineage')}
            caption={trans.__(
              'Show all that it was made from and all that stands on it'
            )}
            onClick={() => recentre(node)}
          />
        )}
        <CopyButton
          text={node.id}
          label={trans.__('Copy the name for “genops lineage show”')}
          word={trans.__('Copy name')}
          trans={trans}
        />
      </div>
      <Facts
        facts={allFacts(node, trans).map(([fact, value]) => [
          fact,
          <span key={fact}>{value}</span>
        ])}
      />
    </section>
  );
}
