import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ILineage, ILineageNode } from '../layout';
import { CARD, layout, next } from '../layout';
import { foldText, kindOf, nameOf, shortFacts } from '../messages';

const ARROWS = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'];

/** The lineage as cards in columns, with a line for each edge. */
export function LineagePicture(props: {
  lineage: ILineage;
  selected: string;
  onSelect: (id: string) => void;
  open: (node: ILineageNode) => void;
  /** List the runs without a version. */
  listRuns: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { lineage, selected, onSelect, open, listRuns, trans } = props;
  const placed = React.useMemo(() => layout(lineage), [lineage]);
  const box = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    // The root is in sight where the picture is larger than its box.
    box.current
      ?.querySelector('.gol-mod-root')
      ?.scrollIntoView?.({ block: 'center', inline: 'center' });
  }, [lineage.root]);
  const onKeyDown = (event: React.KeyboardEvent, node: ILineageNode) => {
    if (event.key === 'Enter') {
      event.preventDefault();
      open(node);
      return;
    }
    const to = ARROWS.includes(event.key)
      ? next(placed, node.id, event.key)
      : event.key === 'Home'
        ? lineage.root
        : null;
    if (ARROWS.includes(event.key) || to) {
      event.preventDefault();
      event.stopPropagation();
    }
    if (to) {
      const at = placed.cards.findIndex(card => card.node.id === to);
      box.current
        ?.querySelectorAll<HTMLElement>('.gol-Lineage-card')
        [at]?.focus();
    }
  };
  return (
    <div
      className="gol-Lineage-box"
      ref={box}
      role="group"
      aria-label={trans.__(
        'Lineage: the arrow keys walk along the lines, Enter opens an object'
      )}
    >
      <div
        className="gol-Lineage-picture"
        style={{ width: placed.width, height: placed.height }}
      >
        <svg
          width={placed.width}
          height={placed.height}
          aria-hidden="true"
          focusable="false"
        >
          {placed.lines.map(({ edge, path }) => (
            <path
              key={`${edge.kind} ${edge.start} ${edge.end}`}
              d={path}
              className={[
                `gol-mod-${edge.kind}`,
                edge.start === selected || edge.end === selected
                  ? 'gol-mod-near'
                  : ''
              ].join(' ')}
            />
          ))}
        </svg>
        {placed.cards.map(({ node, x, y }) => (
          <button
            key={node.id}
            type="button"
            className={[
              'gol-Lineage-card',
              `gol-mod-${node.kind}`,
              node.id === lineage.root ? 'gol-mod-root' : '',
              node.deleted ? 'gol-mod-deleted' : ''
            ].join(' ')}
            style={{ left: x, top: y, ...CARD }}
            tabIndex={node.id === selected ? 0 : -1}
            aria-pressed={node.id === selected}
            title={node.name || node.run_id}
            onClick={() => onSelect(node.id)}
            onFocus={() => onSelect(node.id)}
            onDoubleClick={() => open(node)}
            onKeyDown={event => onKeyDown(event, node)}
          >
            <span className="gol-Lineage-kind">{kindOf(node, trans)}</span>
            <span className="gol-Lineage-name">
              {node.kind === 'version' ? (
                // A long name of a model must not hide the number.
                <>
                  <span>{node.name}</span> <span>{`v${node.version}`}</span>
                </>
              ) : (
                nameOf(node, trans)
              )}
            </span>
            <span className="gol-Lineage-facts">
              {shortFacts(node, trans).join(' · ')}
            </span>
          </button>
        ))}
        {placed.folds.map(({ fold, x, y }) => {
          const shown = {
            key: `${fold.kind} ${fold.column} ${fold.upward} ${fold.without_version}`,
            style: { left: x, top: y, width: CARD.width },
            children: foldText(fold, trans)
          };
          return fold.without_version ? (
            <button
              {...shown}
              key={shown.key}
              type="button"
              className="gol-Lineage-fold gol-LinkButton"
              title={trans.__('List these runs below the picture')}
              onClick={listRuns}
            />
          ) : (
            <span {...shown} key={shown.key} className="gol-Lineage-fold" />
          );
        })}
      </div>
    </div>
  );
}
