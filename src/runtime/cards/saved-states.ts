import type { IDisplayData, IMimeBundle } from '@jupyterlab/nbformat';

const KEY = 'genops-lab:cards';
/** More than a tab has open at once, and little to store. */
const MOST = 20;

/** A card whose output is not saved yet. */
export interface IKeptCard {
  readonly path: string;
  readonly displayId: string;
  /** The cell and the code that ran. */
  readonly cell: string;
  readonly code: string;
  /** The message that ran the code. */
  readonly msgId: string;
  readonly data: IMimeBundle;
}

/**
 * Keeps cards in this browser tab over a reload, which loses the outputs of an
 * unsaved notebook.
 */
export class KeptCards {
  constructor(private _storage: Storage = window.sessionStorage) {}

  of(path: string): IKeptCard[] {
    return this._all().filter(card => card.path === path);
  }

  add(card: IKeptCard): void {
    const others = this._all().filter(
      each =>
        each.displayId !== card.displayId &&
        !(each.path === card.path && each.cell === card.cell)
    );
    this._put([...others, card].slice(-MOST));
  }

  /** Drop these cards: the notebook has been saved with their outputs. */
  drop(displayIds: ReadonlySet<string>): void {
    this._put(this._all().filter(each => !displayIds.has(each.displayId)));
  }

  private _all(): IKeptCard[] {
    try {
      return JSON.parse(this._storage.getItem(KEY) ?? '[]') as IKeptCard[];
    } catch {
      return []; // another version's
    }
  }

  private _put(cards: IKeptCard[]): void {
    try {
      this._storage.setItem(KEY, JSON.stringify(cards));
    } catch {
      // The browser has no more room: a reload then loses the card, as it loses
      // other outputs.
    }
  }
}

/** Return the output that shows a kept card. */
export function outputOf({ data }: IKeptCard): IDisplayData {
  return { output_type: 'display_data', data, metadata: {} };
}
