import { Resource } from './resource';

/** Some items of a list, and where the next page begins: empty on the last one. */
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

/** The most that a page can have. */
const MOST = 1000;

/** All items of a list, each once, for who has to choose among all. */
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
      /** What tells items apart. */
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

  /** Whether there are items behind those that are shown. */
  get hasMore(): boolean {
    return this._shown.more;
  }

  /** Fetch a page more than is shown, with what has changed of the others. */
  async showMore(): Promise<void> {
    this._shown.wanted = (this.value?.length ?? 0) + 1;
    await this.refresh();
  }

  private readonly _shown: { wanted: number; more: boolean };
}

/** As many pages as have `wanted` items together. An item that moved to the next page meanwhile counts once. */
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
