import type { IDisplayData, IMimeBundle } from '@jupyterlab/nbformat';

const KEY = 'genops-lab:cards';
/** More than a tab has under way, and little to store. */
const MOST = 20;

/** A card whose output is in no file yet. */
export interface IKeptCard {
  readonly path: string;
  readonly displayId: string;
  /** The cell and the code that ran. */
  readonly cell: string;
  readonly code: string;
  /** The message that ran it. */
  readonly msgId: string;
  readonly data: IMimeBundle;
}

/** What this tab of the browser keeps over a reload: a notebook that was not saved has lost its outputs then. */
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

  /** The notebook has been saved with what became of these. */
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
      // The browser gives no more room: a reload then loses the card, as it loses other outputs.
    }
  }
}

/** The output that shows a kept card. */
export function outputOf({ data }: IKeptCard): IDisplayData {
  return { output_type: 'display_data', data, metadata: {} };
}
