import type { ReadonlyJSONValue } from '@lumino/coreutils';
import { JSONExt } from '@lumino/coreutils';

/**
 * Whether two lists of outputs show the same; empty metadata and unsaved fields
 * do not count.
 */
export function sameOutputs(
  one: readonly object[],
  other: readonly object[]
): boolean {
  return (
    one.length === other.length &&
    one.every((output, i) => JSONExt.deepEqual(plain(output), plain(other[i])))
  );
}

function plain(output: object): ReadonlyJSONValue {
  const saved: Record<string, unknown> = { ...output };
  delete saved.transient;
  const metadata = saved.metadata as object | undefined;
  if (metadata && Object.keys(metadata).length === 0) {
    delete saved.metadata;
  }
  if (Array.isArray(saved.text)) {
    saved.text = saved.text.join('');
  }
  return saved as ReadonlyJSONValue;
}
