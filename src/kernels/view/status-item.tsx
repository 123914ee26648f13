import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import * as React from 'react';

import { SeenView, computeIcon, formatBytes } from '../../core';
import type { CurrentKernel } from '../current-kernel';
import { stateWord, targetName, usage } from '../kernel-messages';
import type { MachineModel } from '../model';
import type { IKernelUse } from '../service';

/**
 * The place and the use of the notebook's kernel, in the status bar.
 *
 * It reads the machine only while it is visible in a visible tab, with a
 * kernel.
 */
export class KernelStatusItem extends SeenView {
  constructor(options: KernelStatusItem.IOptions) {
    super();
    this.addClass('gol-StatusItem');
    this._options = options;
    options.kernel.changed.connect(this._check, this);
    options.machine.changed.connect(this.update, this);
  }

  protected setSeen(seen: boolean): void {
    this._isSeen = seen;
    this._check();
  }

  protected override render(): React.ReactElement {
    const { kernel, machine, trans, onClick } = this._options;
    const id = kernel.kernelId;
    const use = machine.reading?.kernels.find(
      ({ kernel_id }) => kernel_id === id
    );
    const text = id === null ? trans.__('No kernel') : summary(use, trans);
    const caption =
      id === null
        ? trans.__('This notebook has no kernel.')
        : details(use, trans);
    return (
      <button
        type="button"
        className="gol-StatusItem-button"
        title={caption}
        aria-label={trans.__('Kernel: %1. Open Compute.', text)}
        onClick={onClick}
      >
        <computeIcon.react tag="span" className="gol-Icon" />
        <span>{text}</span>
      </button>
    );
  }

  private _check(): void {
    const { kernel, machine } = this._options;
    const wanted = this._isSeen && kernel.kernelId !== null;
    if (wanted && !this._watching) {
      this._watching = machine.watch();
    } else if (!wanted) {
      this._watching?.dispose();
      this._watching = null;
    }
    this.update();
  }

  private _options: KernelStatusItem.IOptions;
  private _isSeen = false;
  private _watching: IDisposable | null = null;
}

export namespace KernelStatusItem {
  export interface IOptions {
    kernel: CurrentKernel;
    machine: MachineModel;
    trans: TranslationBundle;
    onClick: () => void;
  }
}

function summary(
  use: IKernelUse | undefined,
  trans: TranslationBundle
): string {
  if (!use) {
    return trans.__('this machine');
  }
  const words = [targetName(use, trans)];
  if (typeof use.memory_bytes === 'number') {
    words.push(formatBytes(use.memory_bytes));
  }
  if (use.gpu_memory_bytes) {
    words.push(trans.__('GPU %1', formatBytes(use.gpu_memory_bytes)));
  }
  return words.join(' · ');
}

function details(
  use: IKernelUse | undefined,
  trans: TranslationBundle
): string {
  if (!use) {
    return trans.__('No metrics of this kernel yet.');
  }
  return [
    trans.__('Kernel %1 on %2', use.kernel_name, targetName(use, trans)),
    [stateWord(use.state, trans).label, ...usage(use, trans)].join(' · '),
    trans.__('Click to open Compute.')
  ].join('\n');
}
