import { Clipboard, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { tellFailure } from '../../core';
import { asCsv } from '../../experiments/table/copies';
import type { RunTableModel } from '../../experiments/table/model';

import type { IVersionId } from './service';

/** Versions that are compared at once. */
export const MOST_COMPARED = 8;
const BRIEF_MS = 4000;

/** What can be done with versions; each runs a command. */
export interface IVersionCommands {
  deploy: ((id: IVersionId) => void) | null;
  setAlias: (id: IVersionId) => void;
  history: (id: IVersionId) => void;
  remove: (id: IVersionId) => void;
  compareRuns: (runIds: string[]) => void;
  openRun: (runId: string) => void;
  register: () => void;
}

/** Copy the shown columns of the selected versions as CSV. */
export async function copyCsv(
  model: RunTableModel,
  trans: TranslationBundle
): Promise<void> {
  try {
    const names = model.shown.map(({ name }) => name);
    const { ids, frame } = await model.frame([
      ...new Set(['model', 'version', ...names])
    ]);
    if (ids.length > 0) {
      Clipboard.copyToSystem(asCsv(frame));
      Notification.success(
        trans._n(
          '%1 version copied as CSV.',
          '%1 versions copied as CSV.',
          ids.length
        ),
        { autoClose: BRIEF_MS }
      );
    }
  } catch (reason) {
    tellFailure(reason, trans);
  }
}

/** Return whether this number of versions can be compared. */
export function canCompare(versions: number): boolean {
  return versions >= 2 && versions <= MOST_COMPARED;
}
