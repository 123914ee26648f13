import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from './errors';

/**
 * The items of a streamed answer, as they arrive. Leaving the loop ends the answer at the server.
 *
 * @throws ApiError for an error that the server sends in place of the next item
 */
export async function* streamedItems<T>(
  stream: ReadableStream<Uint8Array>,
  trans: TranslationBundle
): AsyncGenerator<T, void, void> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? '' : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (!line) {
          continue; // the server is there, and has nothing yet
        }
        const item = JSON.parse(line);
        if (item.error?.code) {
          throw ApiError.fromAnswer(200, '', line, trans);
        }
        yield item;
      }
      if (done) {
        return;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
