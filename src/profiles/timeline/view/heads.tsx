import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { TimelineModel } from '../model';

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
          <div
            key={`${group.name} ${group.top}`}
            className="gol-Timeline-group"
            style={{ top: group.top }}
            title={group.name}
          >
            {group.name}
          </div>
        ))}
        {lanes.map(lane => {
          const Icon = lane.collapsed ? caretRightIcon : caretDownIcon;
          const tip = trans.__(
            '%1: %2 slices',
            lane.label,
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
