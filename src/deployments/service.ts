import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';
import { everyPage } from '../core';

export type IDeployment = components['schemas']['Deployment'];
export type INewDeployment = components['schemas']['NewDeployment'];
export type IDeployable = components['schemas']['CheckDeploy'];
export type IEngineSetting = components['schemas']['EngineSetting'];
export type IDeployCheck = components['schemas']['DeployCheck'];
export type IRollout = components['schemas']['Rollout'];
export type IRolloutPolicy = components['schemas']['RolloutPolicy'];
export type RolloutDecision =
  components['schemas']['DecideRollout']['decision'];
export type IRegisteredModel = components['schemas']['RegisteredModel'];
export type ICallerKey = components['schemas']['DeploymentCallerKey'];
export type INewKey = components['schemas']['NewCallerKey'];
export type ITask = components['schemas']['Task'];
export type ITarget = components['schemas']['Target'];

/** The operations of deployments. Each call rejects with an ApiError. */
export class DeploymentsService {
  constructor(readonly api: GenOpsApi) {}

  list(signal?: AbortSignal): Promise<IDeployment[]> {
    // Every page: an old deployment may still run.
    const { http } = this.api;
    return everyPage(
      query =>
        this.api.data(http.GET('/deployments', { params: { query }, signal })),
      ({ name }) => name
    );
  }

  /** Check what is to be deployed: a version (empty: the newest), under a name (empty: the model's), on a target. */
  check(asked: IDeployable): Promise<IDeployCheck> {
    return this.api.data(
      this.api.http.POST('/deployment-checks', { body: asked })
    );
  }

  /** The settings of language models, with their meanings. */
  settings(): Promise<IEngineSetting[]> {
    return this.api.data(this.api.http.GET('/deployment-settings'));
  }

  /** Fetch the files of a repository of the hub, as a task. */
  fetch(asked: IDeployable): Promise<ITask> {
    return this.api.data(
      this.api.http.POST('/fetched-models', { body: asked })
    );
  }

  task(id: string, signal?: AbortSignal): Promise<ITask> {
    return this.api.data(
      this.api.http.GET('/tasks/{task_id}', {
        params: { path: { task_id: id } },
        signal
      })
    );
  }

  async cancel(id: string): Promise<void> {
    await this.api.http.POST('/tasks/{task_id}/cancel', {
      params: { path: { task_id: id } }
    });
  }

  targets(): Promise<ITarget[]> {
    return this.api.data(this.api.http.GET('/targets'));
  }

  /** Go back to a revision; 0 cancels the update in progress. */
  rollBack(name: string, to: number): Promise<IDeployment> {
    return this.api.data(
      this.api.http.POST('/deployments/{name}/rollback', {
        ...path(name),
        body: { to, idempotency_key: '' }
      })
    );
  }

  /** The last rollout of a deployment, with its history. */
  rollout(name: string, signal?: AbortSignal): Promise<IRollout> {
    return this.api.data(
      this.api.http.GET('/deployments/{name}/rollout', {
        ...path(name),
        signal
      })
    );
  }

  /** Decide about the rollout that the person sees. */
  decide(
    name: string,
    decision: RolloutDecision,
    rollout: string
  ): Promise<IDeployment> {
    return this.api.data(
      this.api.http.POST('/deployments/{name}/rollout/decision', {
        ...path(name),
        body: { decision, rollout }
      })
    );
  }

  /** What the recent traffic can show by a policy, in sentences. */
  async outlook(name: string, policy: IRolloutPolicy): Promise<string[]> {
    const found = await this.api.data(
      this.api.http.POST('/deployments/{name}/rollout/outlook', {
        ...path(name),
        body: policy
      })
    );
    return found.lines;
  }

  deploy(body: INewDeployment): Promise<IDeployment> {
    return this.api.data(this.api.http.POST('/deployments', { body }));
  }

  stop(name: string): Promise<IDeployment> {
    return this.api.data(
      this.api.http.POST('/deployments/{name}/stop', path(name))
    );
  }

  renew(name: string): Promise<IDeployment> {
    return this.api.data(
      this.api.http.POST('/deployments/{name}/renew', path(name))
    );
  }

  async delete(name: string): Promise<void> {
    await this.api.http.DELETE('/deployments/{name}', path(name));
  }

  /** The key that requests must send. The audit log records each call. */
  async key(name: string): Promise<string> {
    const found = await this.api.data(
      this.api.http.GET('/deployments/{name}/key', path(name))
    );
    return found.key;
  }

  /** The named keys, without the keys themselves. */
  keys(name: string, signal?: AbortSignal): Promise<ICallerKey[]> {
    return this.api.data(
      this.api.http.GET('/deployments/{name}/keys', { ...path(name), signal })
    );
  }

  /** Add a named key. The answer alone has the key. */
  addKey(name: string, body: INewKey): Promise<ICallerKey> {
    return this.api.data(
      this.api.http.POST('/deployments/{name}/keys', { ...path(name), body })
    );
  }

  /** Revoke a named key: requests with it are refused from now on. */
  async revokeKey(name: string, key: string): Promise<void> {
    await this.api.http.DELETE('/deployments/{name}/keys/{key}', {
      params: { path: { name, key } }
    });
  }

  /** The last lines of a deployment's log. */
  async log(name: string, lines: number): Promise<string[]> {
    const tail = await this.api.data(
      this.api.http.GET('/deployments/{name}/log', {
        params: { path: { name }, query: { lines } }
      })
    );
    return tail.lines;
  }

  /** The registered models, all pages. */
  models(): Promise<IRegisteredModel[]> {
    return everyPage(
      query =>
        this.api.data(this.api.http.GET('/models', { params: { query } })),
      ({ name }) => name
    );
  }
}

function path(name: string): { params: { path: { name: string } } } {
  return { params: { path: { name } } };
}
