import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatValue } from '../counters';
import type { IPlacedGroup, IPlacedLane } from '../lanes';
import type { TimelineModel } from '../model';
import type { ICounterLane } from '../service';

import { groupWords, laneWords } from './messages';

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

/**
 * A counter's name and range; a click selects the value at the middle of the
 * view.
 */
function CounterHead(props: {
  lane: IPlacedLane;
  counter: ICounterLane;
  onSelect: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { lane, counter, trans } = props;
  const { least, most, unit } = counter;
  const from = formatValue(least);
  const reach =
    least === most
      ? formatValue(most, unit)
      : trans.__('%1 to %2', from, formatValue(most, unit));
  return (
    <button
      type="button"
      className="gol-Timeline-lane gol-mod-counter"
      style={{ top: lane.top, height: lane.height }}
      title={trans.__(
        '%1: %2, %3. Click to read the value at the middle of the view.',
        laneWords(lane, trans),
        reach,
        trans._n('%1 sample', '%1 samples', lane.slices)
      )}
      onClick={props.onSelect}
    >
      <span>{lane.label}</span>
      <span>{reach}</span>
    </button>
  );
}

/** The names of lanes next to the canvas, scrolled with it. */
export const LaneHeads = React.forwardRef<
  HTMLDivElement,
  {
    model: TimelineModel;
    /** Move the focus to the slices, where keys continue from the selection. */
    onSelected: () => void;
    trans: TranslationBundle;
  }
>(function LaneHeads({ model, onSelected, trans }, moved): React.ReactElement {
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
            onToggle={() => {
              model.pointAt(group.rank);
              model.toggleGroup(group.key);
            }}
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
          if (lane.counter) {
            return (
              <CounterHead
                key={lane.lane}
                lane={lane}
                counter={lane.counter}
                onSelect={() => {
                  void model.selectCounter(lane);
                  onSelected();
                }}
                trans={trans}
              />
            );
          }
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
