import type {
  IHostGpu,
  IHostReading,
  IRemoteKernel,
  ITarget
} from '../service';

export const GIB = 1024 ** 3;

export function gpu(part: Partial<IHostGpu> = {}): IHostGpu {
  return {
    index: 0,
    uuid: 'GPU-0',
    name: 'NVIDIA H100',
    vendor: 'nvidia',
    memory_total_bytes: 80 * GIB,
    memory_used_bytes: 20 * GIB,
    utilization_percent: 50,
    temperature_c: 61,
    power_w: 412,
    mig: [],
    processes: [],
    ...part
  };
}

export function reading(part: Partial<IHostReading> = {}): IHostReading {
  return {
    hostname: 'gpu1',
    cpu_count: 64,
    cpu_percent: 23,
    load: [1, 2, 3],
    memory_total_bytes: 512 * GIB,
    memory_used_bytes: 128 * GIB,
    disk_total_bytes: null,
    disk_free_bytes: null,
    gpu_state: 'ok',
    gpu_message: '',
    gpus: [gpu()],
    sampled_at: 100,
    ...part
  };
}

export function target(part: Partial<ITarget> = {}): ITarget {
  const name = part.name ?? 'gpu-box';
  return {
    name,
    kind: 'ssh',
    is_this_machine: false,
    allocates: false,
    host_noun: 'host',
    request_language: '',
    hosts: [],
    config: {},
    where: 'gpu1.example.org',
    host: 'gpu1.example.org',
    user: '',
    port: 0,
    identity_file: '',
    python: 'python3',
    carrier: 'auto',
    kernel_name: `genops-${name}`,
    price_per_hour: null,
    secrets: [],
    policy: {
      folder: 'sync',
      folder_max_files: 5000,
      folder_max_bytes: 200 * 1024 ** 2,
      warm_kernels: 0,
      warm_minutes: 60,
      idle_minutes: null,
      idle_gpu_percent: 5
    },
    warm_ready: null,
    warm_message: '',
    locked: false,
    state: 'up',
    since: 100,
    rtt_s: 0.0231,
    message: '',
    hint: '',
    retry_at: null,
    carrier_used: 'paramiko',
    reading: null,
    reading_age_s: null,
    taken: [],
    ended: [],
    pending: [],
    presets: [],
    capacity: null,
    shares_files: null,
    capacity_age_s: null,
    saved: null,
    ...part
  };
}

export function kernel(part: Partial<IRemoteKernel> = {}): IRemoteKernel {
  return {
    target: 'gpu-box',
    kernel_id: 'k1',
    host_id: '',
    state: 'running',
    name: 'genops-gpu-box',
    incarnation: '1',
    pid: 7,
    exit_code: null,
    reason: '',
    ended_by: '',
    idle: null,
    started_at: 100,
    ended_at: null,
    notebook: 'work/train.ipynb',
    owner: 'ada',
    execution_state: 'busy',
    attached: null,
    lease_until: null,
    first_seq: 0,
    last_seq: 0,
    acked_seq: 0,
    journal_bytes: 0,
    agent_version: '1',
    ours: true,
    ...part
  };
}
