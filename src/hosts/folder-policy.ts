import type { TranslationBundle } from '@jupyterlab/translation';

import { MIB, wholeNumberProblem } from '../core';

import type { ITarget } from './service';

type Policy = ITarget['policy'];

/** The default policy for a target's kernels. */
export const DEFAULT_POLICY: Policy = {
  folder: 'sync',
  folder_max_files: 5000,
  folder_max_bytes: 200 * MIB,
  warm_kernels: 0,
  warm_minutes: 60,
  idle_minutes: null,
  idle_gpu_percent: 5
};

/** The fields of a form about notebooks' folders on a target. */
export interface IFolderFields {
  /** Whether the folder is sent to the host before a start. */
  sendsFolder: boolean;
  /** A start asks first above this size, in MiB. */
  folderMebibytes: number;
  folderFiles: number;
}

/** The fields of a policy; sizes with at most one digit after the point. */
export function folderFields(policy: Policy): IFolderFields {
  return {
    sendsFolder: policy.folder === 'sync',
    folderMebibytes: Math.round((10 * policy.folder_max_bytes) / MIB) / 10,
    folderFiles: policy.folder_max_files
  };
}

/**
 * Why a number is invalid; empty where it is valid. Folders that are not sent
 * have no limits.
 */
export function folderProblems(
  { sendsFolder, folderMebibytes, folderFiles }: Readonly<IFolderFields>,
  trans: TranslationBundle
): { size: string; files: string } {
  if (!sendsFolder) {
    return { size: '', files: '' };
  }
  return {
    size: folderMebibytes >= 0 ? '' : trans.__('Enter a number of 0 or more.'),
    files: wholeNumberProblem(folderFiles, trans)
  };
}

/**
 * A policy with the fields in it. An invalid value in a hidden field leaves the
 * policy's value.
 */
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
    // A size that was only rounded for the form keeps its value.
    folder_max_bytes:
      size || fields.folderMebibytes === before.folderMebibytes
        ? policy.folder_max_bytes
        : Math.round(fields.folderMebibytes * MIB)
  };
}
