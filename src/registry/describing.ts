import type { components } from '../api/generated';
import type { ApiError, GenOpsApi } from '../core';

export type IDescribe = components['schemas']['Describe'];

/** A model, or one version of it, with what people wrote about it. */
export interface IDescribed {
  readonly name: string;
  /** Empty: the model itself. */
  readonly version: string;
  readonly description: string;
  /** Tags that people set, without those of programs. */
  readonly tags: Readonly<Record<string, string>>;
}

/** Change description or tags. Rejects with an ApiError, also if others changed what `expected` says. */
export async function describe(
  api: GenOpsApi,
  { name, version }: Pick<IDescribed, 'name' | 'version'>,
  change: Partial<IDescribe>
): Promise<void> {
  const body = {
    description: null,
    tags: {},
    untag: [],
    expected: null,
    expected_tags: {},
    ...change
  };
  if (version) {
    const params = { path: { name, version } };
    await api.data(
      api.http.PUT('/models/{name}/versions/{version}/description', {
        params,
        body
      })
    );
  } else {
    const params = { path: { name } };
    await api.data(
      api.http.PUT('/models/{name}/description', { params, body })
    );
  }
}

/** The text that is there now, after somebody else changed it; undefined for any other error, null without a text. */
export function textNow(error: ApiError | null): string | null | undefined {
  if (error?.code !== 'changed') {
    return undefined;
  }
  const { now } = error.details;
  return typeof now === 'string' ? now : null;
}

/** The tags that people set, from columns such as `tags.team`. */
export function ownTags(
  row: ReadonlyMap<string, number | string | null>
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [column, value] of row) {
    if (isOwnTag(column) && value !== null) {
      found[column.slice(TAGS.length)] = String(value);
    }
  }
  return found;
}

/** Whether a column has tags that people set. */
export function isOwnTag(column: string): boolean {
  return /^tags\.(?!genops\.|mlflow\.)/.test(column);
}

const TAGS = 'tags.';
