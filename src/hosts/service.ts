import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type ITarget = components['schemas']['Target'];
export type INewTarget = components['schemas']['NewTarget'];
export type ITargetKind = components['schemas']['TargetKind'];
export type IFormField = components['schemas']['FormField'];
export type ICandidate = components['schemas']['Candidate'];
export type ICapacity = components['schemas']['Capacity'];
export type ITargetHost = components['schemas']['TargetHost'];
export type ITakenKernel = components['schemas']['TakenKernel'];
export type IEndedKernel = components['schemas']['EndedKernel'];
export type IPendingKernel = components['schemas']['PendingKernel'];
export type IHostReading = components['schemas']['HostReading'];
export type IHostGpu = components['schemas']['HostGpu'];
export type IRemoteKernel = components['schemas']['RemoteKernel'];
export type ITargetKernels = components['schemas']['TargetKernels'];
export type ITargetReport = components['schemas']['TargetReport'];
export type IReportStep = components['schemas']['ReportStep'];
export type IRemovedTarget = components['schemas']['RemovedTarget'];
export type IAttachedKernel = components['schemas']['AttachedKernel'];
export type IBestFit = components['schemas']['BestFit'];
export type IChangeTarget = components['schemas']['ChangeTarget'];
export type IKernelNotice = components['schemas']['KernelNotice'];
export type IQuestion = components['schemas']['OpenQuestion'];
export type IFolderState = components['schemas']['FolderState'];
export type IFolderFile = components['schemas']['FolderFile'];
export type IFolderResult = components['schemas']['FolderResult'];
export type IFolderJob = components['schemas']['FolderJob'];
export type IEnvironmentSource = components['schemas']['EnvironmentSource'];
export type INewEnvironment = components['schemas']['NewEnvironment'];
export type Addition = INewEnvironment['packages'][number];
export type IStoredItem = components['schemas']['StoredItem'];
export type ITargetStorage = components['schemas']['TargetStorage'];
export type IRemovedStored = components['schemas']['RemovedStored'];
export type ISweptTarget = components['schemas']['SweptTarget'];
export type IResources = components['schemas']['Resources'];
export type IResourceForm = components['schemas']['ResourceForm'];
export type IPreset = components['schemas']['Preset'];
export type IHostRequest = components['schemas']['HostRequest'];
export type INewPreset = components['schemas']['NewPreset'];
export type ITask = components['schemas']['Task'];

/** Seconds in which a kernel may end by itself. */
const GRACE_S = 5;

/** Calls about targets. Each rejects with an ApiError. */
export class TargetsService {
  constructor(private _api: GenOpsApi) {}

  list(signal?: AbortSignal): Promise<ITarget[]> {
    return this._api.data(this._api.http.GET('/targets', { signal }));
  }

  get(name: string): Promise<ITarget> {
    return this._api.data(this._api.http.GET('/targets/{name}', path(name)));
  }

  /** Hosts of the user's ssh_config that are no targets yet. */
  candidates(signal?: AbortSignal): Promise<ICandidate[]> {
    return this._api.data(
      this._api.http.GET('/targets/candidates', { signal })
    );
  }

  /** The kinds of targets, with the fields of each. */
  kinds(signal?: AbortSignal): Promise<ITargetKind[]> {
    return this._api.data(this._api.http.GET('/target-kinds', { signal }));
  }

  add(body: INewTarget): Promise<ITarget> {
    return this._api.data(this._api.http.POST('/targets', { body }));
  }

  /** Replace a target's changeable fields. */
  change(name: string, body: IChangeTarget): Promise<ITarget> {
    return this._api.data(
      this._api.http.PUT('/targets/{name}', { ...path(name), body })
    );
  }

  /** Variables of the Lab that are named like secrets; never their values. */
  secretNames(): Promise<string[]> {
    return this._api.data(this._api.http.GET('/secret-names'));
  }

  /**
   * Remove a target; with `force` also while kernels of this Lab run on it.
   * They keep running.
   */
  remove(name: string, force = false): Promise<IRemovedTarget> {
    return this._api.data(
      this._api.http.DELETE('/targets/{name}', {
        params: { path: { name }, query: { force } }
      })
    );
  }

  /** Start a target's test; {@link report} has its progress. */
  test(name: string): Promise<ITask> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/test', path(name))
    );
  }

  report(name: string, signal?: AbortSignal): Promise<ITargetReport> {
    return this._api.data(
      this._api.http.GET('/targets/{name}/report', {
        ...path(name),
        signal
      })
    );
  }

  /** Stop a running test or build. */
  async cancel(taskId: string): Promise<void> {
    await this._api.http.POST('/tasks/{task_id}/cancel', taskPath(taskId));
  }

  /** Files of a notebook's project that describe its environment. */
  sources(project: string): Promise<IEnvironmentSource[]> {
    return this._api.data(
      this._api.http.GET('/environment-sources', {
        params: { query: { path: project } }
      })
    );
  }

  /** Start to build an environment on a target, which then uses it. */
  build(name: string, body: INewEnvironment): Promise<ITask> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/environment', {
        ...path(name),
        body
      })
    );
  }

  /** Start to install packages into the target's present environment. */
  install(name: string, packages: Addition[]): Promise<ITask> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/packages', {
        ...path(name),
        body: { packages }
      })
    );
  }

  task(id: string, signal?: AbortSignal): Promise<ITask> {
    return this._api.data(
      this._api.http.GET('/tasks/{task_id}', { ...taskPath(id), signal })
    );
  }

  /** The last lines of a task's log. */
  async taskLog(id: string, signal?: AbortSignal): Promise<string[]> {
    const log = await this._api.data(
      this._api.http.GET('/tasks/{task_id}/log', {
        ...taskPath(id),
        signal
      })
    );
    return log.lines;
  }

  connect(name: string): Promise<ITarget> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/connect', path(name))
    );
  }

  disconnect(name: string): Promise<ITarget> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/disconnect', path(name))
    );
  }

  /** Release a host (a pod, a job) that no kernel needs. */
  async releaseHost(name: string, host_id: string): Promise<void> {
    await this._api.http.DELETE('/targets/{name}/hosts/{host_id}', {
      params: { path: { name, host_id } }
    });
  }

  /** The kernels on a target, this Lab's and others. */
  kernels(name: string, signal?: AbortSignal): Promise<ITargetKernels> {
    return this._api.data(
      this._api.http.GET('/targets/{name}/kernels', {
        ...path(name),
        signal
      })
    );
  }

  /**
   * Attach a kernel on a target to this Lab; `takeOver` also from the Lab that
   * it is attached to.
   */
  attachKernel(
    name: string,
    kernelId: string,
    takeOver: boolean
  ): Promise<IAttachedKernel> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/kernels/{kernel_id}/attach', {
        ...kernelPath(name, kernelId),
        body: { take_over: takeOver }
      })
    );
  }

  async stopKernel(name: string, kernelId: string): Promise<void> {
    await this._api.http.POST('/targets/{name}/kernels/{kernel_id}/stop', {
      ...kernelPath(name, kernelId),
      body: { grace_s: GRACE_S }
    });
  }

  /** Restart the idle time of a kernel. */
  async keepKernel(name: string, kernelId: string): Promise<void> {
    await this._api.data(
      this._api.http.POST(
        '/targets/{name}/kernels/{kernel_id}/keep',
        kernelPath(name, kernelId)
      )
    );
  }

  /** Kernels that will be stopped soon because they are idle, or were. */
  notices(): Promise<IKernelNotice[]> {
    return this._api.data(this._api.http.GET('/kernel-notices'));
  }

  /** Mark a notice as read. */
  async dropNotice(kernel_id: string): Promise<void> {
    await this._api.http.DELETE('/kernel-notices/{kernel_id}', {
      params: { path: { kernel_id } }
    });
  }

  /** The end of what a kernel's process wrote outside of its cells. */
  async kernelLog(
    name: string,
    kernelId: string,
    signal?: AbortSignal
  ): Promise<string> {
    const log = await this._api.data(
      this._api.http.GET('/targets/{name}/kernels/{kernel_id}/log', {
        ...kernelPath(name, kernelId),
        signal
      })
    );
    return log.text;
  }

  /** Ask a cluster which GPUs are free, and how many wait. */
  capacity(name: string): Promise<ITarget> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/capacity', path(name))
    );
  }

  /** The target, or cluster, whose GPUs have this much memory free. */
  bestFit(bytes: number): Promise<IBestFit> {
    return this._api.data(
      this._api.http.POST('/targets/best-fit', {
        body: { memory_bytes: bytes, count: 1 }
      })
    );
  }

  /**
   * Compare a notebook's folder with its copy on a target; connects where
   * needed.
   */
  lookAtFolder(
    notebook: string,
    target: string,
    signal?: AbortSignal
  ): Promise<IFolderState> {
    return this._api.data(
      this._api.http.POST('/folders/look', {
        body: { folder: '', notebook, target, paths: [] },
        signal
      })
    );
  }

  /**
   * Pull new and changed files; with `replace` also those changed on both
   * sides, of which the user's versions are kept as copies. {@link folderJob}
   * has the progress.
   */
  pullFolder(
    notebook: string,
    target: string,
    replace: boolean
  ): Promise<IFolderJob> {
    return this._api.data(
      this._api.http.POST('/folders/pull', {
        body: {
          folder: '',
          notebook,
          target,
          paths: [],
          replace,
          confirmed: true
        }
      })
    );
  }

  folderJob(job_id: string): Promise<IFolderJob> {
    return this._api.data(
      this._api.http.GET('/folders/jobs/{job_id}', {
        params: { path: { job_id } }
      })
    );
  }

  /** What the start of a kernel sends to the scheduler. */
  request(
    name: string,
    query: { preset?: string } & Partial<IResources> = {}
  ): Promise<IHostRequest> {
    return this._api.data(
      this._api.http.GET('/targets/{name}/request', {
        params: { path: { name }, query }
      })
    );
  }

  /** Keep an edited request as the target's template; empty for none. */
  keepRequest(name: string, text: string): Promise<IHostRequest> {
    return this._api.data(
      this._api.http.PUT('/targets/{name}/request', {
        ...path(name),
        body: { text }
      })
    );
  }

  /** The resources that a new host of a target can have, and its presets. */
  resources(name: string): Promise<IResourceForm> {
    return this._api.data(
      this._api.http.GET('/targets/{name}/resources', path(name))
    );
  }

  /** Add a preset of a target, with a kernelspec of its own. */
  addPreset(name: string, body: INewPreset): Promise<IPreset> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/presets', { ...path(name), body })
    );
  }

  /**
   * Limit the next kernel of a notebook on this target to some GPUs; without a
   * choice it sees all. A new host gets these resources.
   */
  async chooseNextStart(
    name: string,
    notebook: string,
    environment: Readonly<Record<string, string>>,
    resources: IResources
  ): Promise<void> {
    await this._api.http.POST('/targets/{name}/next-start', {
      ...path(name),
      body: { notebook, environment, resources }
    });
  }

  /** What GenOps Lab stores on a target's host. */
  storage(name: string, signal?: AbortSignal): Promise<ITargetStorage> {
    return this._api.data(
      this._api.http.GET('/targets/{name}/storage', {
        params: { path: { name }, query: { older_than_days: 0, force: false } },
        signal
      })
    );
  }

  /**
   * Remove a stored item; with `force` also where its contents have no other
   * copy.
   */
  removeStored(
    name: string,
    { path: itsPath, host_id }: Pick<IStoredItem, 'path' | 'host_id'>,
    force: boolean
  ): Promise<IRemovedStored> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/storage/remove', {
        ...path(name),
        body: { path: itsPath, host_id, older_than_days: 0, force }
      })
    );
  }

  /** Continue, for a while, to delete the files of removed items. */
  sweepTarget(name: string, host_id: string): Promise<ISweptTarget> {
    return this._api.data(
      this._api.http.POST('/targets/{name}/storage/sweep', {
        params: { path: { name }, query: { host_id } }
      })
    );
  }

  /** The open questions. */
  questions(): Promise<IQuestion[]> {
    return this._api.data(this._api.http.GET('/questions'));
  }

  /**
   * Answer a question; null refuses. The answer is sent once and not stored.
   */
  async answer(id: string, text: string | null): Promise<void> {
    await this._api.http.POST('/questions/{question_id}', {
      params: { path: { question_id: id } },
      body: { text }
    });
  }
}

function path(name: string): { params: { path: { name: string } } } {
  return { params: { path: { name } } };
}

function taskPath(task_id: string): { params: { path: { task_id: string } } } {
  return { params: { path: { task_id } } };
}

function kernelPath(
  name: string,
  kernel_id: string
): { params: { path: { name: string; kernel_id: string } } } {
  return { params: { path: { name, kernel_id } } };
}
