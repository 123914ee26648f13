import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, NumberInput } from '../../core';

import type { IFolderFields } from '../folder-policy';
import { folderProblems } from '../folder-policy';

import '../../../style/hosts/dialogs.css';

/**
 * Whether notebooks' folders are sent to a target, and the size above which a
 * start asks.
 */
export function FolderFields(props: {
  fields: Readonly<IFolderFields>;
  onChange: (part: Partial<IFolderFields>) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { fields, onChange, trans } = props;
  const problems = folderProblems(fields, trans);
  return (
    <>
      <label className="gol-Tick">
        <input
          type="checkbox"
          checked={fields.sendsFolder}
          onChange={event => onChange({ sendsFolder: event.target.checked })}
        />
        {trans.__(
          'Send the notebook’s folder to the host before a kernel starts'
        )}
      </label>
      {fields.sendsFolder && (
        <div className="gol-Field-row">
          <Field label={trans.__('Ask above (MiB)')} error={problems.size}>
            {control => (
              <NumberInput
                control={control}
                value={fields.folderMebibytes}
                onChange={folderMebibytes => onChange({ folderMebibytes })}
              />
            )}
          </Field>
          <Field label={trans.__('Ask above (files)')} error={problems.files}>
            {control => (
              <NumberInput
                control={control}
                value={fields.folderFiles}
                step={1}
                onChange={folderFiles => onChange({ folderFiles })}
              />
            )}
          </Field>
        </div>
      )}
    </>
  );
}
