/** A notebook's kernel under one of Nsight's tools, and back. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Dialog, ICommandPalette } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { components } from '../api/generated';
import type { IGenOpsCore } from '../core';
import { confirm } from '../core';
import { definer } from '../core/commands';

export namespace NsightCommandIDs {
  export const restart = 'genops:restart-with-nsight';
  export const measure = 'genops:restart-with-nsight-compute';
  export const leave = 'genops:restart-without-nsight';
}

type INewKernel = components['schemas']['NewNsightKernel'];
type Product = INewKernel['product'];
type SectionSet = INewKernel['section_set'];

/** What the Lab puts into the metadata of kernelspecs under Nsight. */
interface INsightMetadata {
  readonly nsight?: string;
  /** The kernelspec that it was made of. */
  readonly of?: string;
}

export interface INsightOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  notebooks: INotebookTracker;
  palette: ICommandPalette | null;
}

/** Add the commands; the kernel menu has them through the schema. */
export function addNsightCommands(options: INsightOptions): void {
  const { app, core, notebooks, palette } = options;
  const { trans } = core;
  const define = definer(app, palette, trans);
  const kernelOf = (panel: NotebookPanel | null) =>
    panel?.sessionContext.session?.kernel?.name ?? '';
  const underOf = (name: string) => {
    const spec = app.serviceManager.kernelspecs.specs?.kernelspecs[name];
    return spec?.metadata?.genops as INsightMetadata | undefined;
  };
  const prepared = (
    kernel_name: string,
    product: Product,
    section_set: SectionSet
  ) =>
    core.api.data(
      core.api.http.POST('/compute/nsight/kernels', {
        body: { kernel_name, product, section_set }
      })
    );
  /** The tool is looked at first, so that nobody agrees to lose their variables for nothing. */
  const restart = async (
    product: Product,
    agreed: (version: string) => Promise<SectionSet | undefined>
  ) => {
    const panel = notebooks.currentWidget;
    const kernel = kernelOf(panel);
    if (!panel || !kernel) {
      return;
    }
    const made = await prepared(kernel, product, 'basic');
    const chosen = await agreed(made.version);
    if (!chosen) {
      return;
    }
    const { name } =
      chosen === 'basic' ? made : await prepared(kernel, product, chosen);
    await app.serviceManager.kernelspecs.refreshSpecs();
    await panel.sessionContext.changeKernel({ name });
  };
  const sure = (title: string, body: Dialog.Body<unknown>) =>
    confirm({
      title,
      body,
      action: trans.__('Restart'),
      danger: true,
      trans
    });

  define(NsightCommandIDs.restart, {
    label: trans.__('Restart Kernel with Nsight Systems…'),
    caption: trans.__(
      'Start the notebook’s kernel anew under Nsight Systems, which records %1 there',
      '%%profile'
    ),
    icon: refreshIcon,
    args: {},
    isEnabled: () => {
      const name = kernelOf(notebooks.currentWidget);
      return name !== '' && underOf(name)?.nsight !== 'systems';
    },
    execute: () =>
      restart('systems', async version => {
        const yes = await sure(
          trans.__('Restart the kernel with Nsight Systems?'),
          trans.__(
            'Nsight Systems %1 records only programs that it has started, so the kernel is started anew: its variables are lost. Cells with %2 are recorded by it from then on; other cells are not.',
            version,
            '%%profile'
          )
        );
        return yes ? 'basic' : undefined;
      })
  });

  define(NsightCommandIDs.measure, {
    label: trans.__('Restart Kernel with Nsight Compute…'),
    caption: trans.__(
      'Start the notebook’s kernel anew under Nsight Compute, which measures each kernel of the GPU in %1 cells',
      '%%profile'
    ),
    icon: refreshIcon,
    args: {},
    // Also from there to another set.
    isEnabled: () => kernelOf(notebooks.currentWidget) !== '',
    execute: () =>
      restart('compute', async version => {
        const body = new SetChoice(version, trans);
        const yes = await sure(
          trans.__('Restart the kernel with Nsight Compute?'),
          body
        );
        return yes ? body.chosen : undefined;
      })
  });

  define(NsightCommandIDs.leave, {
    label: trans.__('Restart Kernel without Nsight…'),
    caption: trans.__('Start the notebook’s kernel anew, by itself'),
    icon: refreshIcon,
    args: {},
    isEnabled: () => !!underOf(kernelOf(notebooks.currentWidget))?.of,
    execute: async () => {
      const panel = notebooks.currentWidget;
      const name = underOf(kernelOf(panel))?.of;
      if (
        panel &&
        name &&
        (await sure(
          trans.__('Restart the kernel without Nsight?'),
          trans.__(
            'The kernel is started anew: its variables are lost. Cells with %1 are recorded by PyTorch’s profiler again.',
            '%%profile'
          )
        ))
      ) {
        await panel.sessionContext.changeKernel({ name });
      }
    }
  });
}

/** What the restart does, and how much of each kernel is measured: ncu takes that when it starts. */
export class SetChoice extends ReactWidget {
  constructor(version: string, trans: TranslationBundle) {
    super();
    this.addClass('gol-Form-host');
    this._version = version;
    this._trans = trans;
  }

  chosen: SectionSet = 'basic';

  protected override render(): React.ReactElement {
    const trans = this._trans;
    const sets: [SectionSet, string, string][] = [
      [
        'basic',
        trans.__('Basic'),
        trans.__(
          'How busy compute and memory are, occupancy, registers. The quickest: some ten runs of each kernel.'
        )
      ],
      [
        'detailed',
        trans.__('Detailed'),
        trans.__(
          'Also memory by level, FLOPs for the roofline, and the costly instructions. Some twenty runs of each kernel.'
        )
      ],
      [
        'full',
        trans.__('Full'),
        trans.__(
          'Also why warps wait, and all tables of memory. Some forty runs of each kernel.'
        )
      ]
    ];
    return (
      <div className="gol-Form">
        <p>
          {trans.__(
            'Nsight Compute %1 measures only programs that it has started, so the kernel is started anew: its variables are lost. In cells with %2 each kernel of the GPU then runs many times by itself, so that they take far longer; one optimizer step is measured where nothing else is asked for. Other cells are not measured.',
            this._version,
            '%%profile'
          )}
        </p>
        <fieldset className="gol-Sources">
          <legend className="gol-Field-label">
            {trans.__('Measure of each kernel')}
          </legend>
          {sets.map(([name, title, detail]) => (
            <label key={name} className="gol-Source">
              <input
                type="radio"
                name="gol-nsight-set"
                value={name}
                checked={this.chosen === name}
                onChange={() => {
                  this.chosen = name;
                  this.update();
                }}
              />
              <span className="gol-Source-text">
                <span className="gol-Source-name">{title}</span>
                <span className="gol-Field-help">{detail}</span>
              </span>
            </label>
          ))}
        </fieldset>
      </div>
    );
  }

  private _version: string;
  private _trans: TranslationBundle;
}
