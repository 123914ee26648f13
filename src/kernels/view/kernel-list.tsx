import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { circleIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ActionButton, StatusBadge } from '../../core';
import { isHere, stateWord, targetName, usage } from '../kernel-messages';
import type { IKernelUse } from '../service';

/** The kernels of this Lab with what each uses, the largest memory first. */
export function KernelList(props: KernelList.IProps): React.ReactElement {
  const { kernels, trans, onOpen } = props;
  if (kernels.length === 0) {
    return (
      <div className="gol-Compute-quiet">
        {trans.__('No kernel is running')}
        <ActionButton
          label={trans.__('New notebook')}
          caption={trans.__('Open a new notebook, which starts a kernel')}
          onClick={props.onNew}
        />
      </div>
    );
  }
  const sorted = [...kernels].sort(
    (a, b) =>
      (b.memory_bytes ?? 0) - (a.memory_bytes ?? 0) ||
      a.path.localeCompare(b.path)
  );
  return (
    <section aria-label={trans.__('Kernels')}>
      <h4 className="gol-Subhead">
        {trans.__('Kernels')} <span>{kernels.length}</span>
      </h4>
      <ul className="gol-Kernels">
        {sorted.map(kernel => (
          <li key={kernel.kernel_id}>
            <KernelRow kernel={kernel} trans={trans} onOpen={onOpen} />
          </li>
        ))}
      </ul>
    </section>
  );
}

export namespace KernelList {
  export interface IProps {
    kernels: readonly IKernelUse[];
    trans: TranslationBundle;
    onOpen: (path: string) => void;
    onNew: () => void;
  }
}

function KernelRow(props: {
  kernel: IKernelUse;
  trans: TranslationBundle;
  onOpen: (path: string) => void;
}): React.ReactElement {
  const { kernel, trans, onOpen } = props;
  const { tone, label } = stateWord(kernel.state, trans);
  const name = kernel.path
    ? PathExt.basename(kernel.path)
    : trans.__('Without a notebook');
  const caption = [
    kernel.path || name,
    kernel.kernel_name,
    ...(typeof kernel.pid === 'number'
      ? [trans.__('process %1', String(kernel.pid))]
      : [])
  ].join('\n');
  const content = (
    <>
      <span className="gol-Kernel-name">{name}</span>
      <StatusBadge
        tone={tone}
        label={label}
        icon={tone === 'busy' ? circleIcon : undefined}
      />
      <span className="gol-Kernel-use">
        {[
          isHere(kernel)
            ? kernel.kernel_name
            : trans.__('on %1', targetName(kernel, trans)),
          ...usage(kernel, trans)
        ].join(' · ')}
      </span>
    </>
  );
  return kernel.path ? (
    <button
      type="button"
      className="gol-Kernel"
      title={caption}
      onClick={() => onOpen(kernel.path)}
    >
      {content}
    </button>
  ) : (
    <div className="gol-Kernel" title={caption}>
      {content}
    </div>
  );
}
