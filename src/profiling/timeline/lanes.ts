import type { ITimelineLane } from './service';

export const ROW_PX = 17;
export const COUNTER_PX = 40;
/** Space between lanes, and height of a group's name. */
const GAP_PX = 6;
const GROUP_PX = 20;

/** A drawn lane. Pixels from the top of all lanes. */
export interface IPlacedLane extends ITimelineLane {
  readonly top: number;
  readonly height: number;
  readonly collapsed: boolean;
  /** Number of visible rows. */
  readonly shownRows: number;
  /**
   * Start of its own time, in nanoseconds after the first event of all ranks.
   */
  readonly offset: number;
}

/**
 * The line above some lanes: of a process, a device, a rank, or a rank's host
 * threads.
 */
export interface IPlacedGroup {
  readonly kind: 'group' | 'rank' | 'host';
  readonly name: string;
  readonly rank: number | null;
  readonly top: number;
  /** The key that closes it; empty if it cannot be closed. */
  readonly key: string;
  readonly closed: boolean;
  /** Number of its lanes. */
  readonly lanes: number;
}

export interface ILayout {
  readonly lanes: readonly IPlacedLane[];
  readonly groups: readonly IPlacedGroup[];
  readonly height: number;
}

/** Lanes that show only their outermost slices, and closed groups. */
export interface IFolded {
  readonly lanes: ReadonlySet<number>;
  readonly groups: ReadonlySet<string>;
}

export function isOnDevice({ device, stream }: ITimelineLane): boolean {
  return device !== '' || stream !== '';
}

/** The keys of the groups around a lane, with several ranks. */
export function groupsOf(lane: ITimelineLane): string[] {
  const rank = `rank ${lane.rank}`;
  return isOnDevice(lane) ? [rank] : [rank, `${rank} host`];
}

/**
 * Place lanes below each other, each group below its name; with several ranks,
 * first the devices of a rank, then its host.
 */
export function layout(
  lanes: readonly ITimelineLane[],
  folded: IFolded
): ILayout {
  const stack = new Stack(folded);
  if (lanes.every(({ rank }) => (rank ?? null) === null)) {
    stack.addGrouped(lanes, true);
    return stack.layout;
  }
  for (const rank of new Set(lanes.map(lane => lane.rank ?? 0))) {
    const own = lanes.filter(lane => lane.rank === rank);
    const host = own.filter(each => !isOnDevice(each));
    const key = `rank ${rank}`;
    if (!stack.addHead({ kind: 'rank', key, rank, lanes: own.length })) {
      continue;
    }
    stack.addGrouped(own.filter(isOnDevice), false);
    const count = host.length;
    if (
      count > 0 &&
      stack.addHead({ kind: 'host', key: `${key} host`, rank, lanes: count })
    ) {
      stack.addGrouped(host, false);
    }
  }
  return stack.layout;
}

class Stack {
  constructor(private _folded: IFolded) {}

  get layout(): ILayout {
    return { lanes: this._lanes, groups: this._groups, height: this._top };
  }

  /** Whether it is open. */
  addHead(
    head: Pick<IPlacedGroup, 'kind' | 'key' | 'rank' | 'lanes'> & {
      name?: string;
    }
  ): boolean {
    const closed = this._folded.groups.has(head.key);
    this._groups.push({ name: '', ...head, top: this._top, closed });
    this._top += GROUP_PX;
    return !closed;
  }

  /**
   * Place lanes below the names of their groups; a single group has a name only
   * if `always`.
   */
  addGrouped(lanes: readonly ITimelineLane[], always: boolean): void {
    const named = always || new Set(lanes.map(({ group }) => group)).size > 1;
    let group: string | null = null;
    for (const lane of lanes) {
      if (named && lane.group !== group) {
        group = lane.group;
        const rank = lane.rank ?? null;
        this.addHead({ kind: 'group', key: '', name: group, rank, lanes: 0 });
      }
      this._addLane(lane);
    }
  }

  private _addLane(lane: ITimelineLane): void {
    const collapsed = this._folded.lanes.has(lane.lane);
    const shownRows = collapsed ? 1 : lane.rows;
    const height = lane.counter ? COUNTER_PX : shownRows * ROW_PX;
    const offset = (lane.offset_us ?? 0) * 1000;
    const top = this._top;
    this._lanes.push({ ...lane, top, height, collapsed, shownRows, offset });
    this._top += height + GAP_PX;
  }

  private _lanes: IPlacedLane[] = [];
  private _groups: IPlacedGroup[] = [];
  private _top = 0;
}

/** The lane and row at a height; null between lanes. */
export function rowAt(
  { lanes }: ILayout,
  y: number
): { lane: IPlacedLane; row: number } | null {
  const lane = lanes.find(each => y >= each.top && y < each.top + each.height);
  const row = lane?.counter ? 0 : Math.floor((y - (lane?.top ?? 0)) / ROW_PX);
  return lane ? { lane, row } : null;
}
