import type { IStateDB } from '@jupyterlab/statedb';

import type { ISectionOptions } from './tokens';

/** The key in the state database: which sections are open, and which are hidden. */
export const STATE_KEY = 'genops-lab:panel';

/** The sections of versions that kept no `hidden`: each was open until a person closed it. */
const OPEN_BEFORE = ['compute', 'experiments', 'models', 'deployments'];

type Flags = Readonly<Record<string, boolean>>;
type ISaved = Partial<Record<'expanded' | 'hidden', unknown>>;
type Section = Pick<ISectionOptions, 'id' | 'atFirst'>;

/** Which sections are open and which are hidden, over reloads of the page. */
export class SectionStates {
  constructor(private _state: IStateDB | null) {}

  /** Read what was kept; until then nothing is written. */
  async load(): Promise<void> {
    let saved: ISaved | undefined;
    try {
      saved = (await this._state?.fetch(STATE_KEY)) as ISaved | undefined;
    } catch (reason) {
      console.warn('GenOps Lab: the state of the panel is lost', reason);
    }
    this._expanded = flags(saved?.expanded);
    this._hidden = flags(saved?.hidden);
    if (saved?.expanded && !saved.hidden) {
      const before = Object.fromEntries(OPEN_BEFORE.map(id => [id, true]));
      this._expanded = { ...before, ...this._expanded };
    }
    this._loaded = true;
  }

  get isLoaded(): boolean {
    return this._loaded;
  }

  isExpanded({ id, atFirst }: Section): boolean {
    return this._expanded[id] ?? atFirst === 'open';
  }

  isHidden({ id }: Section): boolean {
    return this._hidden[id] ?? false;
  }

  expand(section: Section, expanded: boolean): void {
    if (this._loaded && this.isExpanded(section) !== expanded) {
      // Sections of features that are not loaded keep theirs.
      this._expanded = { ...this._expanded, [section.id]: expanded };
      this._save();
    }
  }

  hide(section: Section, hidden: boolean): void {
    if (this._loaded && this.isHidden(section) !== hidden) {
      this._hidden = { ...this._hidden, [section.id]: hidden };
      this._save();
    }
  }

  /** Forget all that a person changed. */
  reset(): void {
    this._expanded = {};
    this._hidden = {};
    this._state?.remove(STATE_KEY).catch(warn);
  }

  private _save(): void {
    this._state
      ?.save(STATE_KEY, { expanded: this._expanded, hidden: this._hidden })
      .catch(warn);
  }

  private _expanded: Flags = {};
  private _hidden: Flags = {};
  private _loaded = false;
}

function warn(reason: unknown): void {
  console.warn('GenOps Lab: the state of the panel is not kept', reason);
}

function flags(saved: unknown): Flags {
  return typeof saved === 'object' && saved !== null ? (saved as Flags) : {};
}
