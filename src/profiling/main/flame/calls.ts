/** The call tree for the flame graph, and the names of its frames. */
import type { IFlame, IFlameNode } from '../../service';

export type Measure = 'host_us' | 'device_us';

/** Place of the root, which has no node. */
export const WHOLE = -1;

/** A node with its callees. */
export interface ICall extends Pick<IFlameNode, Measure> {
  /** Its position among the nodes. */
  readonly place: number;
  readonly name: string;
  readonly kind: string;
  readonly children: ICall[];
  /** Written by d3-flame-graph: whether it is hidden by the zoom. */
  hide?: boolean;
}

/** Names of frames without their own name. */
export interface IFlameWords {
  readonly all: string;
  readonly other: string;
}

/** The root with all calls. */
export function callTree(flame: IFlame): ICall {
  const { host_us, device_us } = flame;
  const whole: ICall = {
    place: WHOLE,
    name: '',
    kind: 'thread',
    host_us,
    device_us,
    children: []
  };
  const calls: ICall[] = [];
  flame.nodes.forEach((node, place) => {
    const { name, kind, host_us, device_us } = node;
    const call = { place, name, kind, host_us, device_us, children: [] };
    calls.push(call);
    // Callers come before their callees.
    (calls[node.parent] ?? whole).children.push(call);
  });
  return whole;
}

/** A node without a name stands for frames that are too short to draw. */
export function nameOf(
  flame: Pick<IFlame, 'nodes'>,
  place: number,
  words: IFlameWords
): string {
  return place === WHOLE
    ? words.all
    : flame.nodes[place].name.replace(/^aten::/, '') || words.other;
}
