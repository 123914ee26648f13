import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { GenOpsApi } from '../../core';

/** Return the URL of an artifact, which the browser gets only as a file. */
export function artifactUrl(
  { serverSettings }: GenOpsApi,
  runId: string,
  path: string
): string {
  const url = URLExt.join(
    serverSettings.baseUrl,
    'genops/runs',
    encodeURIComponent(runId),
    'artifact'
  );
  return url + URLExt.objectToQueryString({ path });
}

/** Return an artifact's bytes; null if there are more than `most`. */
export async function artifactBytes(
  api: GenOpsApi,
  runId: string,
  path: string,
  most: number,
  signal: AbortSignal
): Promise<Uint8Array<ArrayBuffer> | null> {
  const response = await ServerConnection.makeRequest(
    artifactUrl(api, runId, path),
    { signal },
    api.serverSettings
  );
  if (!response.ok) {
    throw new Error(await response.text());
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    size += value.length;
    if (size > most) {
      await reader.cancel();
      return null;
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
