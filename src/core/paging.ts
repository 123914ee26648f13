import { Resource } from './resource';

/** A page of a list. `next` is the cursor of the next page; empty on the last page. */
export interface IPage<T> {
  items: T[];
  next: string;
}

export interface IPageQuery {
  limit?: number;
  after?: string;
}

type FetchPage<T> = (
  query: IPageQuery,
  signal?: AbortSignal
) => Promise<IPage<T>>;

/** Most items of a page. */
const MOST = 1000;

/** Fetch all pages of a list; each item once. */
export async function everyPage<T>(
  fetch: FetchPage<T>,
  key: (item: T) => string,
  signal?: AbortSignal
): Promise<T[]> {
  const { items } = await pages(fetch, key, Infinity, { limit: MOST, signal });
  return items;
}

/** The first pages of a list; {@link showMore} adds the next one. */
export class PagedResource<T> extends Resource<T[]> {
  constructor(
    options: Omit<Resource.IOptions<T[]>, 'fetch'> & {
      fetch: FetchPage<T>;
      /** The identity of an item. */
      key: (item: T) => string;
    }
  ) {
    const shown = { wanted: 1, more: false };
    super({
      ...options,
      fetch: async signal => {
        const { fetch, key } = options;
        const found = await pages(fetch, key, shown.wanted, { signal });
        shown.more = found.more;
        return found.items;
      }
    });
    this._shown = shown;
  }

  /** Whether the list has more items. */
  get hasMore(): boolean {
    return this._shown.more;
  }

  /** Fetch one page more, and the shown pages again. */
  async showMore(): Promise<void> {
    this._shown.wanted = (this.value?.length ?? 0) + 1;
    await this.refresh();
  }

  /** Fetch all pages, from now on: a search needs them. */
  async showAll(): Promise<void> {
    this._shown.wanted = Infinity;
    await this.refresh();
  }

  private readonly _shown: { wanted: number; more: boolean };
}

/** Fetch pages until they have `wanted` items. An item that moved to a later page meanwhile counts once. */
async function pages<T>(
  fetch: FetchPage<T>,
  key: (item: T) => string,
  wanted: number,
  options: { limit?: number; signal?: AbortSignal | undefined }
): Promise<{ items: T[]; more: boolean }> {
  const { signal, ...query } = options;
  const found = new Map<string, T>();
  let after = '';
  do {
    const page = await fetch(after ? { ...query, after } : query, signal);
    for (const item of page.items) {
      if (!found.has(key(item))) {
        found.set(key(item), item);
      }
    }
    after = page.next;
  } while (after && found.size < wanted);
  return { items: [...found.values()], more: after !== '' };
}
