import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IPlacedGroup } from '../lanes';
import type { TimelineModel } from '../model';

import { groupWords, laneWords } from './words';

function GroupHead(props: {
  group: IPlacedGroup;
  onToggle: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { group, onToggle, trans } = props;
  const words = groupWords(group, trans);
  const className = `gol-Timeline-group gol-mod-${group.kind}`;
  const style = { top: group.top };
  if (!group.key) {
    return (
      <div className={className} style={style} title={words}>
        {words}
      </div>
    );
  }
  const Icon = group.closed ? caretRightIcon : caretDownIcon;
  return (
    <button
      type="button"
      className={className}
      style={style}
      aria-expanded={!group.closed}
      aria-label={
        group.kind === 'host'
          ? trans.__('Rank %1, %2', group.rank, words)
          : words
      }
      onClick={onToggle}
    >
      <Icon.react tag="span" className="gol-Icon" />
      <span>{words}</span>
    </button>
  );
}

/** The lanes' names beside the canvas, moved along with it. */
export const LaneHeads = React.forwardRef<
  HTMLDivElement,
  { model: TimelineModel; trans: TranslationBundle }
>(function LaneHeads({ model, trans }, moved): React.ReactElement {
  const { lanes, groups } = model.placed;
  return (
    <div
      className="gol-Timeline-heads"
      onWheel={event => model.scrollTo(model.scroll + event.deltaY)}
    >
      <div ref={moved} role="group" aria-label={trans.__('Lanes')}>
        {groups.map(group => (
          <GroupHead
            key={`${group.key} ${group.name} ${group.top}`}
            group={group}
            onToggle={() => model.toggleGroup(group.key)}
            trans={trans}
          />
        ))}
        {lanes.map(lane => {
          const Icon = lane.collapsed ? caretRightIcon : caretDownIcon;
          const tip = trans.__(
            '%1: %2 slices',
            laneWords(lane, trans),
            lane.slices.toLocaleString()
          );
          return lane.rows > 1 ? (
            <button
              key={lane.lane}
              type="button"
              className="gol-Timeline-lane"
              style={{ top: lane.top, height: lane.height }}
              aria-expanded={!lane.collapsed}
              title={tip}
              onClick={() => model.toggle(lane.lane)}
            >
              <Icon.react tag="span" className="gol-Icon" />
              <span>{lane.label}</span>
            </button>
          ) : (
            <div
              key={lane.lane}
              className="gol-Timeline-lane"
              style={{ top: lane.top, height: lane.height }}
              title={tip}
            >
              <span className="gol-Timeline-plain">{lane.label}</span>
            </div>
          );
        })}
      </div>
    </div>
  );
});
