/** Find the cells whose results a kernel lost when it ended. */
import type { Cell, CodeCell } from '@jupyterlab/cells';

/**
 * `ran`: to its end. `failed`: with an error. `interrupted`: the kernel ended
 * while it ran. `refused`: run after the end of the kernel.
 */
export type Outcome = 'ran' | 'failed' | 'interrupted' | 'refused';

/** A cell that may run again. */
export interface ICellToRerun {
  readonly cell: CodeCell;
  /** Its execution count; null if it did not run to its end. */
  readonly count: number | null;
  /** The first line that is not empty. */
  readonly line: string;
  readonly outcome: Outcome;
  /** How long its last run took; null where JupyterLab recorded no times. */
  readonly seconds: number | null;
}

/**
 * The cells that ran in a kernel, in the order in which they ran; then the cell
 * that ran at its end, then the refused ones.
 *
 * `before` has the places of refused cells that had run: JupyterLab clears the
 * execution count of a cell that is run.
 */
export function cellsToRerun(
  cells: readonly Cell[],
  refused: readonly Cell[],
  before: Pick<WeakMap<Cell, number>, 'get'>
): readonly ICellToRerun[] {
  const found: { place: number; choice: ICellToRerun }[] = [];
  const all = [...cells.filter(cell => !refused.includes(cell)), ...refused];
  for (const cell of new Set(all)) {
    const line = isCode(cell) ? firstLine(cell) : '';
    if (!line || !isCode(cell)) {
      continue;
    }
    const wasRefused = refused.includes(cell);
    const { executionState, executionCount } = cell.model;
    const count = wasRefused ? null : (executionCount ?? null);
    const place = wasRefused
      ? (before.get(cell) ?? Infinity)
      : executionState === 'running'
        ? Infinity
        : count;
    if (place !== null) {
      const outcome = wasRefused
        ? 'refused'
        : place === Infinity
          ? 'interrupted'
          : hasFailed(cell)
            ? 'failed'
            : 'ran';
      const seconds = wasRefused ? null : secondsOf(cell);
      found.push({ place, choice: { cell, count, line, outcome, seconds } });
    }
  }
  found.sort((one, other) =>
    one.place === other.place ? 0 : one.place - other.place
  );
  return found.map(({ choice }) => choice);
}

function isCode(cell: Cell): cell is CodeCell {
  return !cell.isDisposed && cell.model.type === 'code';
}

function firstLine({ model }: Cell): string {
  const lines = model.sharedModel.getSource().split('\n');
  return lines.find(line => line.trim() !== '')?.trim() ?? '';
}

function hasFailed({ model }: CodeCell): boolean {
  const tags = model.getMetadata('tags') as unknown;
  if (Array.isArray(tags) && tags.includes('raises-exception')) {
    return false;
  }
  return model.sharedModel
    .getOutputs()
    .some(({ output_type }) => output_type === 'error');
}

function secondsOf({ model }: CodeCell): number | null {
  const times = (model.getMetadata('execution') ?? {}) as Partial<
    Record<string, string>
  >;
  const begin =
    times['shell.execute_reply.started'] ?? times['iopub.execute_input'];
  const end = times['shell.execute_reply'];
  const seconds =
    begin && end ? (Date.parse(end) - Date.parse(begin)) / 1000 : NaN;
  return seconds >= 0 ? seconds : null;
}
