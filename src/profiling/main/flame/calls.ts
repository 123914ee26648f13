/** A call tree as the flame graph wants it, and what a person calls its frames. */
import type { IFlame, IFlameNode } from '../../service';

export type Measure = 'host_us' | 'device_us';

/** The place of all together, in whose stead no node stands. */
export const WHOLE = -1;

/** A node with what it called. */
export interface ICall extends Pick<IFlameNode, Measure> {
  /** Its place among the nodes. */
  readonly place: number;
  readonly name: string;
  readonly kind: string;
  readonly children: ICall[];
  /** Written by d3-flame-graph: whether it lies beside what is focused. */
  hide?: boolean;
}

/** How frames without a name of their own are named. */
export interface IFlameWords {
  readonly all: string;
  readonly other: string;
}

/** All together, with the calls in it. */
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
    // Callers stand before what they call.
    (calls[node.parent] ?? whole).children.push(call);
  });
  return whole;
}

/** One without a name holds what is too small to be seen. */
export function nameOf(
  flame: Pick<IFlame, 'nodes'>,
  place: number,
  words: IFlameWords
): string {
  return place === WHOLE
    ? words.all
    : flame.nodes[place].name.replace(/^aten::/, '') || words.other;
}
