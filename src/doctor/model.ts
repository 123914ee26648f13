import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore, LiveChannel } from '../core';
import { Resource } from '../core';

import type { ICheck, IDiagnosis, IStatus } from './service';
import { DoctorService } from './service';

/** Key of the dismissed notices in the state database. */
export const STATE_KEY = 'genops-lab:notices';

const LIVE_PATIENCE_MS = 5000;
const LIVE_LOOK_MS = 50;

/** The server's status and diagnosis, with the checks of this page. */
export class DoctorModel implements IDisposable {
  constructor(
    core: IGenOpsCore,
    options: { page: string; state: IStateDB | null }
  ) {
    const { api, events, live, trans } = core;
    this._state = options.state;
    const service = new DoctorService(api);
    this.status = new Resource({
      fetch: signal => service.status(signal),
      events,
      kinds: ['settings'],
      trans
    });
    this.diagnosis = new Resource({
      fetch: async signal => {
        const [diagnosis, liveCheck] = await Promise.all([
          service.diagnose(signal),
          examineLive(live, trans)
        ]);
        return withChecks(diagnosis, [
          {
            id: 'page',
            title: trans.__('Page'),
            state: 'info',
            detail: options.page,
            hint: ''
          },
          liveCheck
        ]);
      },
      trans
    });
    this.status.changed.connect(this._onStatus, this);
    void this._restore();
  }

  readonly status: Resource<IStatus>;
  readonly diagnosis: Resource<IDiagnosis>;

  /** Emitted when {@link notices} change. */
  get noticesChanged(): ISignal<this, void> {
    return this._noticesChanged;
  }

  /** The server's notices that the user has not dismissed. */
  get notices(): readonly string[] {
    const { _dismissed: dismissed } = this;
    return dismissed
      ? (this.status.value?.notices ?? []).filter(text => !dismissed.has(text))
      : [];
  }

  /** Hide a notice in this workspace from now on. */
  dismiss(notice: string): void {
    this._dismissed = new Set([...(this._dismissed ?? []), notice]);
    this._noticesChanged.emit();
    // Keep only notices that the server still sends.
    const said = this.status.value?.notices ?? [];
    this._state
      ?.save(STATE_KEY, {
        dismissed: [...this._dismissed].filter(text => said.includes(text))
      })
      .catch(reason =>
        console.warn('GenOps Lab: cannot save a dismissed notice', reason)
      );
  }

  get isDisposed(): boolean {
    return this.status.isDisposed;
  }

  dispose(): void {
    this.status.dispose();
    this.diagnosis.dispose();
    Signal.clearData(this);
  }

  private _onStatus(): void {
    this._noticesChanged.emit();
  }

  private async _restore(): Promise<void> {
    let saved: unknown;
    try {
      saved = await this._state?.fetch(STATE_KEY);
    } catch (reason) {
      console.warn('GenOps Lab: cannot load the dismissed notices', reason);
    }
    const dismissed = (saved as { dismissed?: unknown } | undefined)?.dismissed;
    this._dismissed = new Set(
      Array.isArray(dismissed) ? (dismissed as string[]) : []
    );
    this._noticesChanged.emit();
  }

  private _state: IStateDB | null;
  private _noticesChanged = new Signal<this, void>(this);
  /** Null until the dismissed notices are loaded. */
  private _dismissed: Set<string> | null = null;
}

/** Group checks by state, errors first. */
export function byUrgency(
  checks: readonly ICheck[]
): { state: ICheck['state']; checks: ICheck[] }[] {
  const order: ICheck['state'][] = ['error', 'warning', 'info', 'ok'];
  return order
    .map(state => ({
      state,
      checks: checks.filter(check => check.state === state)
    }))
    .filter(group => group.checks.length > 0);
}

function withChecks(diagnosis: IDiagnosis, more: ICheck[]): IDiagnosis {
  const lines = more.flatMap(({ state, title, detail, hint }) => [
    `[${state}] ${title}: ${detail}`,
    ...(hint ? [`    ${hint}`] : [])
  ]);
  return {
    checks: [...diagnosis.checks, ...more],
    text: `${diagnosis.text.trimEnd()}\n${lines.join('\n')}\n`
  };
}

/** Check that the websocket connects; some proxies block it. */
async function examineLive(
  live: LiveChannel,
  trans: TranslationBundle
): Promise<ICheck> {
  const title = trans.__('Live updates');
  if (live.paused) {
    return {
      id: 'live',
      title,
      state: 'info',
      detail: trans.__('Live updates are off in the settings.'),
      hint: ''
    };
  }
  const subscription = live.subscribe('changes', () => undefined);
  try {
    const deadline = Date.now() + LIVE_PATIENCE_MS;
    while (!live.isOpen && Date.now() < deadline) {
      await new Promise(resolve => window.setTimeout(resolve, LIVE_LOOK_MS));
    }
    return live.isOpen
      ? {
          id: 'live',
          title,
          state: 'ok',
          detail: trans.__('The websocket is connected.'),
          hint: ''
        }
      : {
          id: 'live',
          title,
          state: 'error',
          detail: trans.__('The websocket cannot connect.'),
          hint: trans.__(
            'A proxy may block websockets. Let it pass them, or use “Refresh what is shown” in the panel.'
          )
        };
  } finally {
    subscription.dispose();
  }
}
