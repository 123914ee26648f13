import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../core';
import { ApiError } from '../core';

import { endWords } from './link-messages';
import type { IKernelNotice, TargetsService } from './service';

/**
 * One notification for each kernel on a target that will be stopped because it
 * is idle, or was stopped. A warning has a button that keeps the kernel, and
 * closes when it no longer applies. The notice of a stop stays until it is
 * read, also after a reload of the page.
 */
export class KernelNotices implements IDisposable {
  constructor(
    private _core: IGenOpsCore,
    private _service: TargetsService,
    /** Offer a restart of a kernel that has ended. */
    readonly restart: (notice: IKernelNotice) => void
  ) {
    _core.events.changed('kernel_notice').connect(this._look, this);
    _core.events.resync.connect(this._look, this);
    Notification.manager.changed.connect(this._onChanged, this);
  }

  /** Emitted when {@link all} changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The current notices. */
  get all(): readonly IKernelNotice[] {
    return this._all;
  }

  /** Show the notices that exist when the page loads. */
  start(): void {
    this._look();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._core.events.changed('kernel_notice').disconnect(this._look, this);
      this._core.events.resync.disconnect(this._look, this);
      Notification.manager.changed.disconnect(this._onChanged, this);
      Signal.clearData(this);
    }
  }

  private _look(): void {
    const asked = ++this._asked;
    this._service.notices().then(
      notices => {
        if (!this._isDisposed && asked === this._asked) {
          this._show(notices);
        }
      },
      // The server is away: the next request follows when it is back.
      () => undefined
    );
  }

  private _show(notices: readonly IKernelNotice[]): void {
    this._all = notices;
    this._changed.emit();
    const keys = new Set(notices.map(keyOf));
    for (const [key, { id }] of [...this._shown]) {
      if (!keys.has(key)) {
        this._shown.delete(key);
        Notification.dismiss(id);
      }
    }
    for (const notice of notices) {
      const key = keyOf(notice);
      if (!this._shown.has(key)) {
        this._shown.set(key, { id: this._emit(notice), notice });
      }
    }
  }

  private _emit(notice: IKernelNotice): string {
    const { trans } = this._core;
    const words = noticeWords(notice, Date.now() / 1000, trans);
    const action = this.actionOf(notice);
    return Notification.warning(words, {
      autoClose: false,
      actions: action && [
        { ...action, displayType: 'accent', callback: action.execute }
      ]
    });
  }

  /** What the user can do about a notice. */
  actionOf(
    notice: IKernelNotice
  ): { label: string; caption: string; execute: () => void } | undefined {
    const { trans } = this._core;
    switch (notice.kind) {
      case 'warning':
        return {
          label: trans.__('Keep it running'),
          caption: trans.__('Restart the kernel’s idle time'),
          execute: () => void this.keep(notice)
        };
      case 'ended':
        return {
          label: trans.__('Restart…'),
          caption: trans.__('Choose where, and the cells that run again'),
          execute: () => this.restart(notice)
        };
      default:
        return undefined;
    }
  }

  /** Give a kernel its whole time again. */
  async keep({ target, kernel_id }: IKernelNotice): Promise<void> {
    const { trans } = this._core;
    try {
      await this._service.keepKernel(target, kernel_id);
    } catch (reason) {
      const error = ApiError.from(reason, trans);
      Notification.error(`${error.message} ${error.hint}`.trim());
    }
  }

  /** Remove the notice of a stop: the user has read it. */
  drop({ kernel_id }: IKernelNotice): void {
    this._service.dropNotice(kernel_id).catch(() => undefined);
  }

  /** The user has read the notice of a stop by closing it. */
  private _onChanged(
    _: typeof Notification.manager,
    { type, notification }: { type: string; notification: { id: string } }
  ): void {
    if (type !== 'removed') {
      return;
    }
    for (const { id, notice } of this._shown.values()) {
      if (id === notification.id && notice.kind === 'ended') {
        this.drop(notice);
      }
    }
  }

  private _all: readonly IKernelNotice[] = [];
  private _changed = new Signal<this, void>(this);
  private _shown = new Map<string, { id: string; notice: IKernelNotice }>();
  private _asked = 0;
  private _isDisposed = false;
}

function keyOf({ kernel_id, kind }: IKernelNotice): string {
  return `${kernel_id} ${kind}`;
}

/** The text of a notice, the notebook first. `now` in seconds since 1970. */
export function noticeWords(
  notice: IKernelNotice,
  now: number,
  trans: TranslationBundle
): string {
  const name = notice.path.split('/').filter(Boolean).pop();
  const whose = name
    ? trans.__('%1 (kernel on %2)', name, notice.target)
    : trans.__('A kernel on %1', notice.target);
  if (notice.kind === 'ended') {
    return trans.__(
      '%1: %2 Restart the kernel to continue.',
      whose,
      notice.text
    );
  }
  if (notice.kind === 'host') {
    const words = endWords(
      { ends_at: notice.ends_at, notice: notice.text },
      trans.__('host'),
      now,
      trans
    );
    return `${whose}: ${words}`;
  }
  const left = Math.max(0, (notice.ends_at ?? now) - now);
  const minutes = Math.max(1, Math.round(left / 60));
  return trans._n(
    '%2 is idle and stops in %1 minute unless you run a cell.',
    '%2 is idle and stops in %1 minutes unless you run a cell.',
    minutes,
    whose
  );
}
