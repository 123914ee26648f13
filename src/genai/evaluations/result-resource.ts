import type { TranslationBundle } from '@jupyterlab/translation';
import { JSONExt } from '@lumino/coreutils';

import type { GenOpsEvents } from '../../core/events';
import { Resource } from '../../core/resource';

import type { AnswersService, IResult } from './service';

/**
 * One evaluation.
 *
 * Its figures stay the same objects while they do not change: views read the examples again for new ones. Tasks tell
 * their progress twice a second; that of another evaluation's task is read once.
 */
export function resultResource(
  service: Pick<AnswersService, 'get'>,
  id: string,
  events: GenOpsEvents,
  trans: TranslationBundle
): Resource<IResult> {
  const seen = new Set<string>();
  let kept: IResult | undefined;
  return new Resource<IResult>({
    events,
    kinds: ['answer-evaluation', 'task'],
    trans,
    fetch: async signal => {
      const { evaluation, report, task } = await service.get(id, signal);
      kept = {
        evaluation: same(kept?.evaluation, evaluation),
        report: same(kept?.report, report),
        task
      };
      return kept;
    },
    accepts: change => {
      if (change.kind !== 'task') {
        return change.id === '' || change.id === id;
      }
      const isNew = !seen.has(change.id);
      seen.add(change.id);
      return change.id === '' || isNew || change.id === kept?.task?.id;
    }
  });
}

/** The value before where it equals the one that was found. */
function same<T>(before: T | undefined, found: T): T {
  return before !== undefined &&
    JSONExt.deepEqual(before as never, found as never)
    ? before
    : found;
}
