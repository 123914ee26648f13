import {
  folderIcon,
  launchIcon,
  linkIcon,
  listIcon,
  stopIcon,
  terminalIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  IconButton,
  RelativeTime,
  ResourceView,
  StatusBadge
} from '../../core';

import { kernelTitle } from '../dialogs';
import type { IRemoteKernel } from '../service';
import { kernelWords } from '../messages';

import type { TargetCard } from './target-card';

/** The kernels on a target, read while they are shown. */
export function KernelsThere(props: TargetCard.IProps): React.ReactElement {
  const { target, model, trans, drive } = props;
  const kernels = React.useMemo(
    () => model.kernels(target.name),
    [model, target.name]
  );
  React.useEffect(() => {
    const driven = drive(kernels);
    return () => {
      driven.dispose();
      kernels.dispose();
    };
  }, [kernels]);
  return (
    <ResourceView
      resource={kernels}
      trans={trans}
      down={trans.__('The kernels of this target cannot be read.')}
      empty={
        <p className="gol-Note">{trans.__('No kernel runs on this target.')}</p>
      }
    >
      {value =>
        value.connected ? (
          <ul
            className="gol-Kernels"
            aria-label={trans.__('Kernels on %1', target.name)}
          >
            {value.kernels.map(kernel => (
              <li key={kernel.kernel_id} className="gol-RemoteKernel">
                <KernelThere {...props} kernel={kernel} />
              </li>
            ))}
          </ul>
        ) : (
          <p className="gol-Note">{value.message}</p>
        )
      }
    </ResourceView>
  );
}

function KernelThere(
  props: TargetCard.IProps & { kernel: IRemoteKernel }
): React.ReactElement {
  const { kernel, target, trans } = props;
  const { attached, ours, state } = kernel;
  const name = kernelTitle(kernel);
  const whose =
    state === 'ended'
      ? kernel.reason
      : ours
        ? trans.__('this Lab')
        : attached
          ? attached.label || trans.__('another Lab')
          : trans.__('not attached');
  return (
    <>
      <span
        className="gol-Kernel-name"
        title={[kernel.notebook, kernel.kernel_id, kernel.host_id]
          .filter(Boolean)
          .join('\n')}
      >
        {name}
      </span>
      <StatusBadge {...kernelWords(kernel, trans)} />
      <span className="gol-RemoteKernel-buttons">
        {state === 'running' && !ours && (
          <IconButton
            icon={linkIcon}
            label={trans.__('Attach %1 to this Lab', name)}
            onClick={() => props.onAttachKernel(target, kernel)}
          />
        )}
        <IconButton
          icon={listIcon}
          label={trans.__('Show the log of %1', name)}
          onClick={() => props.onKernelLog(target, kernel)}
        />
        {state === 'running' && (
          <>
            <IconButton
              icon={terminalIcon}
              label={trans.__('Open a terminal beside %1', name)}
              onClick={() => props.onTerminal(target.name, kernel.kernel_id)}
            />
            {target.allocates && props.onFiles && (
              <IconButton
                icon={folderIcon}
                label={trans.__('Browse files of the host of %1', name)}
                onClick={() => props.onFiles?.(target.name, kernel.kernel_id)}
              />
            )}
            <IconButton
              icon={launchIcon}
              label={trans.__('Open a port of %1…', name)}
              onClick={() => props.onOpenPort(target, kernel)}
            />
            <IconButton
              icon={stopIcon}
              label={trans.__('Stop %1', name)}
              onClick={() => props.onStopKernel(target, kernel)}
            />
          </>
        )}
      </span>
      <span className="gol-Kernel-use">
        {whose}
        {kernel.started_at !== null && (
          <>
            {' · '}
            <RelativeTime seconds={kernel.started_at} trans={trans} />
          </>
        )}
      </span>
    </>
  );
}
