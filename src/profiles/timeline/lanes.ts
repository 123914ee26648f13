import type { ITimelineLane } from './service';

export const ROW_PX = 17;
/** Between lanes, and the line of a group's name. */
const GAP_PX = 6;
const GROUP_PX = 20;

/** A lane where it is drawn. Pixels from the top of all lanes. */
export interface IPlacedLane extends ITimelineLane {
  readonly top: number;
  readonly height: number;
  readonly collapsed: boolean;
  /** How many of its rows are shown. */
  readonly shownRows: number;
}

export interface IPlacedGroup {
  readonly name: string;
  readonly top: number;
}

export interface ILayout {
  readonly lanes: readonly IPlacedLane[];
  readonly groups: readonly IPlacedGroup[];
  readonly height: number;
}

/** Lanes below each other, each group below its name; a collapsed lane shows its outermost slices. */
export function layout(
  lanes: readonly ITimelineLane[],
  collapsed: ReadonlySet<number>
): ILayout {
  const placed: IPlacedLane[] = [];
  const groups: IPlacedGroup[] = [];
  let top = 0;
  let group: string | null = null;
  for (const lane of lanes) {
    if (lane.group !== group) {
      group = lane.group;
      groups.push({ name: group, top });
      top += GROUP_PX;
    }
    const isCollapsed = collapsed.has(lane.lane);
    const shownRows = isCollapsed ? 1 : lane.rows;
    const height = shownRows * ROW_PX;
    placed.push({ ...lane, top, height, collapsed: isCollapsed, shownRows });
    top += height + GAP_PX;
  }
  return { lanes: placed, groups, height: top };
}

/** The lane and row at a height; null between lanes. */
export function rowAt(
  { lanes }: ILayout,
  y: number
): { lane: IPlacedLane; row: number } | null {
  const lane = lanes.find(each => y >= each.top && y < each.top + each.height);
  return lane ? { lane, row: Math.floor((y - lane.top) / ROW_PX) } : null;
}
