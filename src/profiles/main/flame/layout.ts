/** A call tree as rows of frames: where each is drawn, and which one is at a place. */
import type { IFlame, IFlameNode } from '../../service';

export type Measure = 'host_us' | 'device_us';

export interface IFrame {
  /** Its place among the nodes; -1 for all of them together. */
  readonly node: number;
  readonly depth: number;
  /** Shares of the whole width, 0 to 1. */
  readonly left: number;
  readonly width: number;
}

export interface IFlameLayout {
  readonly frames: readonly IFrame[];
  readonly depth: number;
}

export const WHOLE = -1;

/** Frames below this share of the width are left out. */
const NARROWEST = 0.0005;

/** The places of the children of each node, those with most time first. */
export function childrenOf(
  { nodes }: Pick<IFlame, 'nodes'>,
  measure: Measure
): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>();
  nodes.forEach(({ parent }, place) => {
    const siblings = children.get(parent);
    if (siblings) {
      siblings.push(place);
    } else {
      children.set(parent, [place]);
    }
  });
  for (const siblings of children.values()) {
    siblings.sort((one, other) => nodes[other][measure] - nodes[one][measure]);
  }
  return children;
}

/**
 * The frames with `focus` as wide as the picture: what is around it, as wide, above; what it
 * called below, each as wide as its time.
 */
export function flameLayout(
  flame: IFlame,
  measure: Measure,
  focus: number
): IFlameLayout {
  const children = childrenOf(flame, measure);
  const path = pathTo(flame.nodes, focus);
  const frames: IFrame[] = path.map((node, depth) => ({
    node,
    depth,
    left: 0,
    width: 1
  }));
  let deepest = path.length;
  const open = [{ node: focus, depth: path.length - 1, left: 0, width: 1 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { node, depth, left, width } = next;
    const whole = timeOf(flame, measure, node);
    let x = left;
    for (const child of children.get(node) ?? []) {
      const share = whole > 0 ? flame.nodes[child][measure] / whole : 0;
      const frame = {
        node: child,
        depth: depth + 1,
        left: x,
        width: width * share
      };
      x += frame.width;
      if (frame.width >= NARROWEST) {
        frames.push(frame);
        open.push(frame);
        deepest = Math.max(deepest, frame.depth + 1);
      }
    }
  }
  return { frames, depth: deepest };
}

export function timeOf(flame: IFlame, measure: Measure, node: number): number {
  return node === WHOLE ? flame[measure] : flame.nodes[node][measure];
}

/** From all together to a node. */
export function pathTo(nodes: readonly IFlameNode[], node: number): number[] {
  const path: number[] = [];
  for (let at = node; at !== WHOLE; at = nodes[at].parent) {
    path.unshift(at);
  }
  return [WHOLE, ...path];
}

/** The nodes whose name has a text, whatever its case, and their time where none lies in another. */
export function found(
  flame: IFlame,
  measure: Measure,
  text: string
): { nodes: ReadonlySet<number>; us: number } {
  const wanted = text.trim().toLowerCase();
  const nodes = new Set<number>();
  const covered = new Set<number>();
  let us = 0;
  if (wanted) {
    flame.nodes.forEach((node, place) => {
      const matches = node.name.toLowerCase().includes(wanted);
      if (matches) {
        nodes.add(place);
      }
      // Callers stand before what they call.
      if (covered.has(node.parent)) {
        covered.add(place);
      } else if (matches) {
        covered.add(place);
        us += node[measure];
      }
    });
  }
  return { nodes, us };
}

/** Where a key leads from a node: its caller, its costliest callee, or the sibling beside it. */
export function neighbour(
  flame: IFlame,
  measure: Measure,
  node: number,
  key: string
): number | null {
  const children = childrenOf(flame, measure);
  if (key === 'ArrowDown') {
    return children.get(node)?.[0] ?? null;
  }
  if (node === WHOLE) {
    return null;
  }
  const { parent } = flame.nodes[node];
  if (key === 'ArrowUp') {
    return parent;
  }
  const siblings = children.get(parent) ?? [];
  const at = siblings.indexOf(node);
  return (
    (key === 'ArrowRight'
      ? siblings[at + 1]
      : key === 'ArrowLeft'
        ? siblings[at - 1]
        : undefined) ?? null
  );
}
