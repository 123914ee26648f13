import type { IDeployment } from '../service';

/** A running deployment, with some fields changed. */
export function deployment(part: Partial<IDeployment> = {}): IDeployment {
  return {
    name: 'digits',
    model: 'digits',
    version: '2',
    state: 'running',
    url: 'http://127.0.0.1:4000',
    message: '',
    hint: '',
    target: 'this machine',
    requests: 12,
    errors: 0,
    latency_ms: 1.5,
    outlives_server: true,
    task_id: '',
    created_at: Date.now() / 1000,
    lease_until: Date.now() / 1000 + 23.5 * 3600,
    file: '',
    revision: 1,
    updating_to: 0,
    revisions: [],
    addresses: [],
    rollout: null,
    serving: null,
    settings: {},
    ...part
  };
}
