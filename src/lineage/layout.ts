/** Places the cards of a lineage in columns, and says where the arrow keys lead. */
import type { components } from '../api/generated';

export type ILineage = components['schemas']['Lineage'];
export type ILineageNode = components['schemas']['LineageNode'];
export type ILineageEdge = components['schemas']['LineageEdge'];
export type ILineageFold = components['schemas']['LineageFold'];

/** Sizes in pixels. */
export const CARD = { width: 176, height: 58 };
const GAP = { x: 46, y: 12 };
const FOLD_HEIGHT = { line: 28, group: 44 };
const PASSES = 3;

/** A card at its place. */
export interface IPlaced {
  node: ILineageNode;
  column: number;
  x: number;
  y: number;
}

/** A line between two cards, as an SVG path. */
export interface ILine {
  edge: ILineageEdge;
  path: string;
}

export interface ILayout {
  cards: IPlaced[];
  lines: ILine[];
  folds: { fold: ILineageFold; x: number; y: number }[];
  width: number;
  height: number;
}

/** Place cards column by column, each near those that it belongs to. */
export function layout(lineage: ILineage): ILayout {
  const { nodes, edges } = lineage;
  const used = [
    ...new Set([...nodes, ...lineage.folds].map(({ column }) => column))
  ].sort((a, b) => a - b);
  const columns = used.map(at => nodes.filter(({ column }) => column === at));
  const rows = new Map<string, number>();
  const number = (column: ILineageNode[]) =>
    column.forEach(({ id }, row) => rows.set(id, row - column.length / 2));
  columns.forEach(number);
  const beside = neighbours(edges);
  for (let pass = 0; pass < PASSES; pass++) {
    for (const column of pass % 2 ? [...columns].reverse() : columns) {
      const wish = new Map(
        column.map(({ id }) => [id, mean(beside(id), rows) ?? rows.get(id)!])
      );
      column.sort((a, b) => wish.get(a.id)! - wish.get(b.id)!);
      number(column);
    }
  }
  const pitch = CARD.height + GAP.y;
  const tallest = Math.max(...columns.map(({ length }) => length), 1) * pitch;
  const cards = columns.flatMap((column, at) =>
    column.map((node, row) => ({
      node,
      column: at,
      x: at * (CARD.width + GAP.x),
      y: (tallest - column.length * pitch) / 2 + row * pitch
    }))
  );
  const ends = new Map<number, number>();
  const folds = lineage.folds.map(fold => {
    const at = used.indexOf(fold.column);
    const own = columns[at].length;
    const y = ends.get(at) ?? (tallest + own * pitch) / 2;
    const { line, group } = FOLD_HEIGHT;
    ends.set(at, y + (fold.without_version ? group : line));
    return { fold, x: at * (CARD.width + GAP.x), y };
  });
  const places = new Map(cards.map(card => [card.node.id, card]));
  return {
    cards,
    folds,
    lines: edges.map(edge => ({
      edge,
      path: curve(places.get(edge.start)!, places.get(edge.end)!)
    })),
    width: used.length * (CARD.width + GAP.x) - GAP.x,
    height: Math.max(tallest, ...ends.values())
  };
}

/** The card to which an arrow key leads: along an edge, or to the next one of the column; null for none. */
export function next(
  { cards, lines }: ILayout,
  id: string,
  key: string
): string | null {
  const here = cards.find(({ node }) => node.id === id);
  if (!here) {
    return null;
  }
  if (key === 'ArrowUp' || key === 'ArrowDown') {
    const column = cards.filter(({ column }) => column === here.column);
    const at = column.indexOf(here) + (key === 'ArrowUp' ? -1 : 1);
    return column[at]?.node.id ?? null;
  }
  const [from, to] =
    key === 'ArrowRight'
      ? (['start', 'end'] as const)
      : (['end', 'start'] as const);
  const there = lines
    .filter(({ edge }) => edge[from] === id)
    .map(({ edge }) => cards.find(({ node }) => node.id === edge[to])!);
  there.sort((a, b) => Math.abs(a.y - here.y) - Math.abs(b.y - here.y));
  return there[0]?.node.id ?? null;
}

function neighbours(edges: readonly ILineageEdge[]): (id: string) => string[] {
  const found = new Map<string, string[]>();
  const add = (id: string, other: string) =>
    found.set(id, [...(found.get(id) ?? []), other]);
  for (const { start, end } of edges) {
    add(start, end);
    add(end, start);
  }
  return id => found.get(id) ?? [];
}

function mean(ids: string[], rows: Map<string, number>): number | null {
  const known = ids.map(id => rows.get(id)!);
  return known.length === 0
    ? null
    : known.reduce((sum, row) => sum + row, 0) / known.length;
}

/** A curve from the right of a card to the left of another one. */
function curve(from: IPlaced, to: IPlaced): string {
  const [x1, y1] = [from.x + CARD.width, from.y + CARD.height / 2];
  const [x2, y2] = [to.x, to.y + CARD.height / 2];
  const bend = Math.max(Math.abs(x2 - x1) / 2, GAP.x / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}
