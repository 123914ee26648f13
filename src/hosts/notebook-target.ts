import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { TargetsModel } from './model';
import { asKernelSees } from './model';
import type {
  IEndedKernel,
  IPendingKernel,
  ITakenKernel,
  ITarget,
  ITargetHost
} from './service';
import type { Gone } from './link-messages';

/**
 * The prefix of the names of targets' kernelspecs; the rest is the target's
 * name.
 */
export const KERNEL_PREFIX = 'genops-';

/**
 * The target of one notebook's kernel. It reads targets only while visible, and
 * only for a remote kernel. The end of the kernel's host is told also while
 * another tab covers the notebook.
 */
export class NotebookTarget implements IDisposable {
  constructor(
    readonly session: ISessionContext,
    readonly model: TargetsModel
  ) {
    session.kernelChanged.connect(this._sync, this);
    session.statusChanged.connect(this._tell, this);
    session.connectionStatusChanged.connect(this._onConnection, this);
    session.disposed.connect(this.dispose, this);
    model.changed.connect(this._tell, this);
  }

  /** Emitted when the shown state changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get kernelId(): string {
    return this.session.session?.kernel?.id ?? '';
  }

  get kernelName(): string {
    return this.session.session?.kernel?.name ?? '';
  }

  get isRemote(): boolean {
    return this.kernelName.startsWith(KERNEL_PREFIX);
  }

  /**
   * The name of the target; empty for a kernel of this machine, and without a
   * kernel.
   */
  get targetName(): string {
    return this.isRemote
      ? (this.target?.name ?? this.kernelName.slice(KERNEL_PREFIX.length))
      : '';
  }

  /**
   * The target; undefined for this machine, until it is read, and once it is
   * removed.
   */
  get target(): ITarget | undefined {
    const found = this.isRemote && this.model.ofKernel(this.kernelName);
    return found ? asKernelSees(found, this.kernelId) : undefined;
  }

  /**
   * The Lab that has taken the kernel over; undefined while the kernel belongs
   * to this Lab.
   */
  get taken(): ITakenKernel | undefined {
    return this.target?.taken?.find(
      ({ kernel_id }) => kernel_id === this.kernelId
    );
  }

  /** How the kernel ended without a request; undefined while it runs. */
  get ended(): IEndedKernel | undefined {
    return this.target?.ended?.find(
      ({ kernel_id }) => kernel_id === this.kernelId
    );
  }

  /**
   * What the kernel waits for while its host is requested; undefined once the
   * host runs.
   */
  get pending(): IPendingKernel | undefined {
    return this.target?.pending?.find(
      ({ kernel_id }) => kernel_id === this.kernelId
    );
  }

  /** The kernel's own host; undefined where its target is one host. */
  get host(): ITargetHost | undefined {
    return this.target?.hosts.find(({ host_id }) => host_id === this.kernelId);
  }

  /**
   * Why the kernel is not available: the Jupyter server does not answer, or
   * what it last reported.
   */
  get gone(): Gone | undefined {
    if (this.isRemote && this.model.isServerAway) {
      return 'away';
    }
    return this.ended ? 'ended' : this.taken && 'taken';
  }

  /** Shut down the kernel, also one that waits for its host. */
  async shutdown(): Promise<void> {
    await this.session.shutdown();
  }

  get visible(): boolean {
    return this._visible;
  }
  set visible(value: boolean) {
    this._visible = value;
    this._sync();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._follow();
      Signal.clearData(this);
    }
  }

  private _sync(): void {
    this._follow();
    this._tell();
  }

  private _follow(): void {
    const remote = this.isRemote && !this._isDisposed;
    if (remote) {
      this._attending ??= this.model.attend();
    } else {
      this._attending?.dispose();
      this._attending = null;
    }
    const wanted = this._visible && remote;
    if (wanted && !this._watching) {
      this._watching = this.model.watch();
    } else if (!wanted) {
      this._watching?.dispose();
      this._watching = null;
    }
  }

  /**
   * A cut may come from the server, which sends no more events: read the state
   * at once.
   */
  private _onConnection(): void {
    if (this._watching) {
      void this.model.list.refresh();
    }
    this._tell();
  }

  private _tell(): void {
    this._showEnded();
    this._changed.emit();
  }

  /**
   * JupyterLab's own indicators keep showing "idle" for a kernel that has
   * ended, and no public API changes them. Of the states that it accepts from a
   * message only "dead" would fit, and that drops the connection that Restart
   * needs.
   */
  private _showEnded(): void {
    const { ended } = this;
    const kernel = this.session.session?.kernel as IStated | null | undefined;
    if (!ended || !kernel || ended.since === this._restarted) {
      return;
    }
    if (RESTARTING.includes(kernel.status)) {
      // The list of targets may report the end for a moment more.
      this._restarted = ended.since;
    } else if (kernel.status === 'idle') {
      // Also after a refused cell: listeners of "idle" are called first.
      void Promise.resolve().then(() => kernel._updateStatus?.('unknown'));
    }
  }

  /** When the kernel ended that is being restarted. */
  private _restarted = 0;
  private _visible = false;
  private _watching: IDisposable | null = null;
  private _attending: IDisposable | null = null;
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

const RESTARTING: readonly string[] = [
  'starting',
  'restarting',
  'autorestarting'
];

/** Undeclared members of JupyterLab's kernel connections. */
type IStated = Kernel.IKernelConnection & {
  _updateStatus?: (status: Kernel.Status) => void;
};
