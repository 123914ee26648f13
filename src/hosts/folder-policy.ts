import type { TranslationBundle } from '@jupyterlab/translation';

import { MIB, wholeNumberProblem } from '../core';

import type { ITarget } from './service';

type Policy = ITarget['policy'];

/** How a target's kernels are kept unless the person says otherwise. */
export const DEFAULT_POLICY: Policy = {
  folder: 'sync',
  folder_max_files: 5000,
  folder_max_bytes: 200 * MIB,
  warm_kernels: 0,
  idle_minutes: null,
  idle_gpu_percent: 5
};

/** What a form asks about notebooks' folders on a target. */
export interface IFolderFields {
  /** Whether they are sent there before a start. */
  sendsFolder: boolean;
  /** Of more than so much, in MiB, a start asks first. */
  folderMebibytes: number;
  folderFiles: number;
}

/** The fields as a policy has them; sizes with at most one digit after the point. */
export function folderFields(policy: Policy): IFolderFields {
  return {
    sendsFolder: policy.folder === 'sync',
    folderMebibytes: Math.round((10 * policy.folder_max_bytes) / MIB) / 10,
    folderFiles: policy.folder_max_files
  };
}

/** Why a figure cannot be meant; empty where it can. Folders that are not sent have no caps. */
export function folderProblems(
  { sendsFolder, folderMebibytes, folderFiles }: Readonly<IFolderFields>,
  trans: TranslationBundle
): { size: string; files: string } {
  if (!sendsFolder) {
    return { size: '', files: '' };
  }
  return {
    size: folderMebibytes >= 0 ? '' : trans.__('Give a number, 0 or more.'),
    files: wholeNumberProblem(folderFiles, trans)
  };
}

/** A policy with the fields in it. What is wrong in a field that is not shown stays as it was. */
export function withFolder(
  policy: Policy,
  fields: Readonly<IFolderFields>,
  trans: TranslationBundle
): Policy {
  const { size, files } = folderProblems(
    { ...fields, sendsFolder: true },
    trans
  );
  const before = folderFields(policy);
  return {
    ...policy,
    folder: fields.sendsFolder ? 'sync' : 'off',
    folder_max_files: files ? policy.folder_max_files : fields.folderFiles,
    // What was rounded to be shown and left alone is not changed by a save.
    folder_max_bytes:
      size || fields.folderMebibytes === before.folderMebibytes
        ? policy.folder_max_bytes
        : Math.round(fields.folderMebibytes * MIB)
  };
}
