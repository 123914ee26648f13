import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { EmptyState, ResourceView, useSignalled } from '../../core';
import type { MachineModel } from '../model';
import type { IMachineReading } from '../service';

import { GpuCards } from './gpu-cards';
import { KernelList } from './kernel-list';
import { MachineCard } from './machine-card';
import { MachineLine } from './machine-line';

/** This machine, its GPUs and its kernels. */
export function ComputeView(props: ComputeView.IProps): React.ReactElement {
  const { model, trans } = props;
  const latest = useReading(model);
  return (
    <ResourceView
      resource={model.resource}
      trans={trans}
      down={trans.__('This machine cannot be read.')}
      keepMounted
      empty={<EmptyState text={trans.__('No reading of this machine yet.')} />}
    >
      {fetched => {
        const { machine, kernels } = latest ?? fetched;
        return (
          <div className="gol-Compute">
            <h4 className="gol-Subhead">{trans.__('This machine')}</h4>
            <MachineLine machine={machine} trans={trans}>
              <MachineCard
                machine={machine}
                history={model.history}
                trans={trans}
              />
              <GpuCards machine={machine} trans={trans} />
            </MachineLine>
            <KernelList
              kernels={kernels}
              trans={trans}
              onOpen={props.onOpenNotebook}
              onNew={props.onNewNotebook}
            />
          </div>
        );
      }}
    </ResourceView>
  );
}

export namespace ComputeView {
  export interface IProps {
    model: MachineModel;
    trans: TranslationBundle;
    onOpenNotebook: (path: string) => void;
    onNewNotebook: () => void;
  }
}

/** The latest reading, drawn again with each. */
export function useReading(model: MachineModel): IMachineReading | undefined {
  return useSignalled(model.changed, () => model.reading);
}
