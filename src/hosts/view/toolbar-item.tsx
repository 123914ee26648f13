import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  SeenView,
  Sparkline,
  computeIcon,
  formatPercent,
  tellFailure
} from '../../core';

import type { IGpuHistory } from '../model';
import { HISTORY, gpuShares } from '../model';
import type { NotebookTarget } from '../notebook-target';
import type { IPendingKernel, ITarget, ITargetHost } from '../service';
import type { Gone } from '../link-messages';
import {
  describeLink,
  describePending,
  endLabel,
  endsSoon,
  formatRoundTrip,
  goneWords
} from '../link-messages';

import type { INotebookActions, NotebookPopup } from './notebook-popup';

/**
 * A notebook's toolbar item with its kernel's place. For this machine it shows
 * only the name; for a target also the connection, the GPUs and the round trip.
 */
export class TargetToolbarItem extends SeenView {
  constructor(private _options: TargetToolbarItem.IOptions) {
    super();
    this.addClass('gol-TargetItem');
    _options.notebook.changed.connect(this.update, this);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._popup?.dispose();
    this._options.notebook.dispose();
    super.dispose();
  }

  protected setSeen(seen: boolean): void {
    this._options.notebook.visible = seen;
    if (this._popup && !seen) {
      // A toolbar that makes room removes its items and puts them back.
      window.setTimeout(() => {
        if (!this.isVisible) {
          this._popup?.dispose();
        }
      }, ROOM_MS);
    }
  }

  protected override render(): React.ReactElement {
    const { notebook, trans } = this._options;
    return (
      <ItemView
        isRemote={notebook.isRemote}
        hasKernel={notebook.kernelName !== ''}
        name={notebook.targetName}
        target={notebook.target}
        gone={notebook.gone}
        pending={notebook.pending}
        host={notebook.host}
        history={notebook.model.history(notebook.targetName)}
        known={notebook.model.targets !== undefined}
        open={this._popup !== null}
        trans={trans}
        onClick={() => this._toggle()}
      />
    );
  }

  private _toggle(): void {
    if (this._popup) {
      this._popup.dispose();
    } else {
      this._open().catch((reason: unknown) =>
        tellFailure(reason, this._options.trans)
      );
    }
  }

  private async _open(): Promise<void> {
    const { NotebookPopup } = await import('./notebook-popup');
    if (this._popup || this.isDisposed) {
      return;
    }
    this._popup = new NotebookPopup({
      ...this._options,
      anchor: this.node
    });
    this._popup.disposed.connect(() => {
      this._popup = null;
      this.update();
    }, this);
    this._popup.open();
    this.update();
  }

  private _popup: NotebookPopup | null = null;
}

export namespace TargetToolbarItem {
  export interface IOptions extends INotebookActions {
    /** Disposed with the item. */
    notebook: NotebookTarget;
    trans: TranslationBundle;
  }
}

/** Milliseconds in which a toolbar may make room. */
const ROOM_MS = 1000;

/** The button itself. */
export function ItemView(props: {
  isRemote: boolean;
  hasKernel: boolean;
  name: string;
  target: ITarget | undefined;
  /** Set when the kernel is not available here. */
  gone: Gone | undefined;
  /** Set while the kernel waits for its host. */
  pending: IPendingKernel | undefined;
  /** The kernel's own host, where its target has several. */
  host?: ITargetHost;
  history: IGpuHistory;
  /** Whether the list of targets was read. */
  known: boolean;
  open: boolean;
  trans: TranslationBundle;
  onClick: () => void;
}): React.ReactElement {
  const { isRemote, target, history, pending, trans } = props;
  const name = isRemote
    ? props.name
    : props.hasKernel
      ? trans.__('This machine')
      : trans.__('No kernel');
  const now = Date.now() / 1000;
  const isUp = target?.state === 'up' && !props.gone && !pending;
  const link = props.gone
    ? goneWords(props.gone, trans)
    : pending
      ? describePending(pending, now, trans)
      : target && describeLink(target, now, trans);
  const state =
    link?.label ??
    (isRemote && props.known ? trans.__('no longer a target') : '');
  const ends =
    isUp && props.host && endsSoon(props.host, now)
      ? endLabel(props.host, now, trans)
      : '';
  const gpus = isUp ? (target.reading?.gpus ?? []) : [];
  const { memory, busy } = gpuShares(gpus);
  const figures = [
    memory !== null && trans.__('GPU memory %1', formatPercent(memory)),
    busy !== null && trans.__('GPU busy %1', formatPercent(busy)),
    isUp && formatRoundTrip(target.rtt_s)
  ].filter(Boolean);
  const spoken = [name, state, ends, pending?.reason, ...figures]
    .filter(Boolean)
    .join(', ');
  return (
    <button
      type="button"
      className={`gol-TargetItem-button gol-mod-${isRemote ? (ends ? 'warning' : (link?.tone ?? 'idle')) : 'local'}`}
      title={trans.__('Where this notebook runs: %1', spoken)}
      aria-label={trans.__('Where this notebook runs: %1', spoken)}
      aria-haspopup="dialog"
      aria-expanded={props.open}
      onClick={props.onClick}
    >
      <computeIcon.react tag="span" className="gol-Icon" />
      <span className="gol-TargetItem-name">{name}</span>
      {isRemote && !isUp && state && (
        <span className="gol-TargetItem-state">
          <span className="gol-Dot" aria-hidden="true" />
          {state}
        </span>
      )}
      {isUp && (
        <>
          <span className="gol-Dot" aria-hidden="true" />
          {ends && <span className="gol-TargetItem-state">{ends}</span>}
          {gpus.length > 0 && (
            <span className="gol-TargetItem-gpu" aria-hidden="true">
              {memory !== null && (
                <>
                  <Sparkline
                    values={history.memory}
                    max={100}
                    capacity={HISTORY}
                  />
                  <span>
                    <small>{trans.__('mem')}</small> {formatPercent(memory)}
                  </span>
                </>
              )}
              {busy !== null && (
                <>
                  <Sparkline
                    values={history.busy}
                    max={100}
                    capacity={HISTORY}
                  />
                  <span>
                    <small>{trans.__('util')}</small> {formatPercent(busy)}
                  </span>
                </>
              )}
            </span>
          )}
          <span className="gol-TargetItem-rtt">
            {formatRoundTrip(target.rtt_s)}
          </span>
        </>
      )}
    </button>
  );
}
