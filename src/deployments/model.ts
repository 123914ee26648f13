import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { IGenOpsCore, Tone } from '../core';
import { Resource } from '../core';

import type { ICallerKey, IDeployment } from './service';
import { DeploymentsService } from './service';
import { DeploymentWatch } from './watch';

/** The name of this machine as a target. */
export const HERE = 'this machine';

/** The deployments. */
export class DeploymentsModel implements IDisposable {
  constructor(private _core: IGenOpsCore) {
    this.service = new DeploymentsService(_core.api);
    this.list = new Resource({
      fetch: signal => this.service.list(signal),
      events: _core.events,
      kinds: ['deployment'],
      trans: _core.trans
    });
  }

  readonly service: DeploymentsService;
  readonly list: Resource<IDeployment[]>;

  /** The live figures and log of one deployment. The caller sets `visible` and disposes the watch. */
  watch(name: string): DeploymentWatch {
    return new DeploymentWatch({
      name,
      live: this._core.live,
      log: lines => this.service.log(name, lines),
      trans: this._core.trans
    });
  }

  /** The named keys of one deployment. The caller sets `visible` and disposes the resource. */
  keys(name: string): Resource<ICallerKey[]> {
    return new Resource({
      fetch: signal => this.service.keys(name, signal),
      events: this._core.events,
      kinds: ['deployment'],
      trans: this._core.trans
    });
  }

  get isDisposed(): boolean {
    return this.list.isDisposed;
  }

  dispose(): void {
    this.list.dispose();
  }
}

/** Whether the deployment has a process or will get one. */
export function isActive({ state }: Pick<IDeployment, 'state'>): boolean {
  return ['preparing', 'starting', 'running', 'stopping'].includes(state);
}

/** The tone and label of a state. */
export function describeState(
  state: IDeployment['state'],
  trans: TranslationBundle
): { tone: Tone; label: string } {
  const words: Record<IDeployment['state'], { tone: Tone; label: string }> = {
    preparing: { tone: 'busy', label: trans.__('Preparing') },
    starting: { tone: 'busy', label: trans.__('Starting') },
    running: { tone: 'ok', label: trans.__('Running') },
    stopping: { tone: 'busy', label: trans.__('Stopping') },
    stopped: { tone: 'stopped', label: trans.__('Stopped') },
    failed: { tone: 'error', label: trans.__('Failed') },
    ended: { tone: 'warning', label: trans.__('Ended') }
  };
  return words[state];
}

/**
 * A curl command that requests one prediction. It contains the deployment's key.
 *
 * The row is an example: the model's signature defines the input.
 */
export function curlCommand({
  url,
  key
}: {
  url: string;
  key: string;
}): string {
  return [
    `curl -sS ${quote(`${url}/invocations`)}`,
    `-H ${quote(`Authorization: Bearer ${key}`)}`,
    `-H ${quote('Content-Type: application/json')}`,
    `-d ${quote('{"inputs": [[0.0, 0.0, 0.0, 0.0]]}')}`
  ].join(' \\\n  ');
}

function quote(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}
