import type { IStateDB } from '@jupyterlab/statedb';
import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IDraft } from './draft';
import { newTurn } from './draft';

const KEY = 'genops-lab:prompt-drafts';
const KEEP_MS = 400;
const TEXTS = ['name', 'settings', 'tools', 'schema', 'message', 'newest'];

/** The unsaved texts of each Lab, by its API. */
const OF_LABS = new WeakMap<object, KeptDrafts>();

/** Unsaved texts by the prompt's name, for all pages of a Lab. The workspace keeps them over a reload. */
export class KeptDrafts {
  /** The unsaved texts of a Lab; `api` stands for it. */
  static of(api: object, state: IStateDB | null): KeptDrafts {
    const found = OF_LABS.get(api) ?? new KeptDrafts(state);
    OF_LABS.set(api, found);
    return found;
  }

  private constructor(private _state: IStateDB | null) {
    this.ready = this._restore();
  }

  /** Settled when the texts of before a reload are there. */
  readonly ready: Promise<void>;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get(name: string): IDraft | undefined {
    return this._drafts.get(name);
  }

  has(name: string): boolean {
    return this._drafts.has(name);
  }

  set(name: string, draft: IDraft): void {
    this._drafts.set(name, draft);
    this._keep(name);
  }

  delete(name: string): void {
    if (this._drafts.delete(name)) {
      this._keep(name);
    }
  }

  private async _restore(): Promise<void> {
    try {
      const kept = await this._state?.fetch(KEY);
      for (const [name, draft] of Object.entries(kept ?? {})) {
        if (isDraft(draft) && !this._touched.has(name)) {
          this._drafts.set(name, {
            ...draft,
            turns: draft.turns.map(turn => ({ ...newTurn('user'), ...turn }))
          });
        }
      }
    } catch (reason) {
      console.warn('GenOps Lab: unsaved prompts are lost', reason);
    }
    this._changed.emit();
  }

  private _keep(name: string): void {
    this._touched.add(name);
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this._save(), KEEP_MS);
    this._changed.emit();
  }

  private async _save(): Promise<void> {
    await this.ready;
    const kept: unknown = Object.fromEntries(this._drafts);
    await this._state
      ?.save(KEY, kept as ReadonlyPartialJSONValue)
      .catch((reason: unknown) =>
        console.warn('GenOps Lab: unsaved prompts are not kept', reason)
      );
  }

  private _drafts = new Map<string, IDraft>();
  /** Texts that changed since the page was loaded. */
  private _touched = new Set<string>();
  private _timer: number | undefined;
  private _changed = new Signal<this, void>(this);
}

/** Whether a kept value is a text of this version. */
function isDraft(kept: unknown): kept is IDraft {
  const { kind, turns, ...texts } = (kept ?? {}) as Partial<IDraft>;
  const given = texts as Record<string, unknown>;
  return (
    (kind === 'text' || kind === 'chat') &&
    Array.isArray(turns) &&
    turns.every(turn => typeof turn?.content === 'string') &&
    TEXTS.every(name => typeof given[name] === 'string')
  );
}
