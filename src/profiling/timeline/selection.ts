import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from '../../core';

import { Navigation } from './navigation';
import type { IPicked } from './picking';
import type {
  IFoundSlices,
  ISliceDetails,
  ISums,
  TimelineService
} from './service';
import { bytesOf } from './tiles';
import type { IRange } from './viewport';

export interface ISearchState {
  readonly text: string;
  readonly regex: boolean;
  readonly found: IFoundSlices | null;
  readonly error: string;
}

/** The selection and the search of a timeline. */
export abstract class Selection extends Navigation {
  constructor(protected options: Selection.IOptions) {
    super();
    this._rank = options.rank ?? null;
  }

  details: ISliceDetails | null = null;
  range: IRange | null = null;
  sums: ISums | null = null;
  search: ISearchState = { text: '', regex: false, found: null, error: '' };
  /** For each name, whether the search matches it. */
  matches: Uint8Array | null = null;

  /** Select a picked item: a slice, or the period of a run. */
  async choose(picked: IPicked | null): Promise<void> {
    if (!picked) {
      this.clear();
    } else if (picked.count === 1 || picked.values) {
      await this.select(picked.slice);
    } else {
      await this.selectRange({
        first: picked.start,
        last: picked.start + picked.dur,
        lanes: [picked.lane.lane]
      });
    }
  }

  async select(slice: number, reveal = false): Promise<void> {
    const { service, profileId } = this.options;
    await this._ask(async signal => {
      const details = await service.slice(profileId, this._rank, slice, signal);
      this.range = this.sums = null;
      this.details = details;
      if (reveal) {
        this.reveal(details.slice);
      }
    });
  }

  async selectRange(range: IRange): Promise<void> {
    const { service, profileId } = this.options;
    this.details = this.sums = null;
    this.range = range;
    this._emitChanges();
    await this._ask(async signal => {
      this.sums = await service.sums(
        profileId,
        this._rank,
        {
          first_us: Math.max(0, range.first / 1000),
          last_us: Math.max(0, range.last / 1000),
          lanes: [...range.lanes]
        },
        signal
      );
    });
  }

  /** Draw a period during a drag. */
  sketchRange(range: IRange): void {
    this.range = range;
    this.details = this.sums = null;
    this._draw();
  }

  clear(): void {
    this._asking?.abort();
    this.details = this.range = this.sums = null;
    this._emitChanges();
  }

  /** Find the next or the previous match from the selection. */
  async find(text: string, regex: boolean, backwards = false): Promise<void> {
    const { service, profileId, trans } = this.options;
    const same = text === this.search.text && regex === this.search.regex;
    this.search = {
      text,
      regex,
      found: same ? this.search.found : null,
      error: ''
    };
    if (!text) {
      this._asking?.abort();
      this.matches = null;
      this._emitChanges();
      return;
    }
    await this._ask(
      async signal => {
        const after = this.details?.slice.slice ?? -1;
        const found = await service.search(
          profileId,
          this._rank,
          { text, regex, after, backwards },
          signal
        );
        if (signal.aborted) {
          return;
        }
        this.search = { text, regex, found, error: '' };
        this.matches = new Uint8Array(this.timeline?.names.length ?? 0);
        for (const name of new Int32Array(bytesOf(found.names))) {
          this.matches[name] = 1;
        }
        if (found.slice) {
          this.range = this.sums = null;
          this.details = await service.slice(
            profileId,
            this._rank,
            found.slice.slice,
            signal
          );
          this.reveal(found.slice);
        }
      },
      reason => {
        const { message, hint } = ApiError.from(reason, trans);
        this.matches = null;
        this.search = {
          text,
          regex,
          found: null,
          error: `${message} ${hint}`.trim()
        };
      }
    );
  }

  /** Clear selection and search. */
  protected override leave(): void {
    this._asking?.abort();
    this.details = this.range = this.sums = null;
    this.matches = null;
    this.search = { ...this.search, found: null, error: '' };
    super.leave();
  }

  /** Report a failed request. */
  protected abstract _fail(reason: unknown): void;

  /** Run one request at a time; only the last one counts. */
  protected async _ask(
    work: (signal: AbortSignal) => Promise<void>,
    onError: (reason: unknown) => void = reason => this._fail(reason)
  ): Promise<void> {
    this._asking?.abort();
    const { signal } = (this._asking = new AbortController());
    try {
      await work(signal);
    } catch (reason) {
      if (signal.aborted) {
        return;
      }
      onError(reason);
    }
    if (!signal.aborted) {
      this._emitChanges();
    }
  }

  /** The rank of requests. */
  protected _rank: number | null;
  protected _asking: AbortController | null = null;
}

export namespace Selection {
  export interface IOptions {
    profileId: string;
    service: TimelineService;
    trans: TranslationBundle;
    /** The rank whose timeline is shown first, if a profile has several. */
    rank?: number | null;
  }
}
