import type { TranslationBundle } from '@jupyterlab/translation';

import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type ITask = components['schemas']['Task'];

const REPOSITORY = /^(hf:)?[\w.-]+\/[\w.-]+(@[\w./-]+)?$/;

/** Begin to copy files into the registry. Rejects with an ApiError, such as for files that are no model. */
export function importModel(
  api: GenOpsApi,
  kind: 'files' | 'hub',
  fields: {
    readonly name: string;
    readonly source: string;
    readonly base: string;
    readonly alias: string;
    readonly allowCode: boolean;
  }
): Promise<ITask> {
  const source = fields.source.trim();
  return api.data(
    api.http.POST('/models/{name}/imports', {
      params: { path: { name: fields.name.trim() } },
      body: {
        source:
          kind === 'hub' && !source.startsWith('hf:') ? `hf:${source}` : source,
        base: fields.base.trim(),
        alias: fields.alias,
        allow_code: fields.allowCode,
        mlflow: '',
        secret: ''
      }
    })
  );
}

/** Why a source cannot be sent; empty for a valid one, and before anything is typed. */
export function sourceProblem(
  kind: 'files' | 'hub',
  source: string,
  trans: TranslationBundle
): string {
  return kind === 'hub' && source.trim() && !REPOSITORY.test(source.trim())
    ? trans.__('Use ORG/NAME or ORG/NAME@REVISION.')
    : '';
}

/** The Python code that loads a version. */
export async function loadingCode(
  api: GenOpsApi,
  of: { readonly name: string; readonly version: string }
): Promise<string> {
  const path = { name: of.name, version: of.version };
  const { code } = await api.data(
    api.http.GET('/models/{name}/versions/{version}/code', { params: { path } })
  );
  return code;
}
