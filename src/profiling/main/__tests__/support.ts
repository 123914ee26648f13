import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import type {
  IAttribution,
  IChange,
  IDeviceTime,
  IDifference,
  IFigure,
  IKernelTime,
  ILineTime,
  IOperatorTime,
  IProfile,
  IProfileSummary
} from '../../service';
import type { IPlaces } from '../places';

export const trans = nullTranslator.load('genops_lab');

export function makeDevice(part: Partial<IDeviceTime> = {}): IDeviceTime {
  return {
    device: '0',
    rank: 0,
    span_us: 1000,
    busy_us: 600,
    idle_us: 400,
    compute_us: 500,
    comm_us: 90,
    exposed_comm_us: 60,
    memory_us: 40,
    kernels: 10,
    top_kernels: [],
    model: '',
    ...part
  };
}

export function makeOperator(part: Partial<IOperatorTime>): IOperatorTime {
  return {
    name: 'aten::mm',
    count: 1,
    self_us: 1,
    total_us: 1,
    device_us: 0,
    kernels: 0,
    flops: 0,
    bytes: 0,
    ...part
  };
}

export function makeKernel(part: Partial<IKernelTime>): IKernelTime {
  return {
    name: 'gemm',
    count: 1,
    total_us: 1,
    min_us: 1,
    max_us: 1,
    operator: '',
    kind: 'compute',
    ...part
  };
}

export function makeLine(
  line: number,
  device_us: number,
  text = '',
  cell = 'c1'
): ILineTime {
  return {
    place: {
      file: 'a.ipynb',
      line,
      function: '',
      cell,
      text,
      whole_function: false
    },
    device_us,
    backward_us: device_us / 4,
    cpu_us: 1,
    kernels: 2,
    operators: ['aten::mm']
  };
}

export function makeAttribution(lines: ILineTime[]): IAttribution {
  return {
    by: 'markers',
    device_us: 100,
    attributed_us: 90,
    forward_us: 50,
    forward_attributed_us: 49,
    lines,
    unattributed: []
  };
}

/** What the engine of today leaves empty is empty. */
export function makeSummary(
  part: Partial<IProfileSummary> = {}
): IProfileSummary {
  return {
    events: 3,
    ranks: [0],
    devices: [],
    cpu: { span_us: 100, busy_us: 80, idle_us: 20 },
    operators: [],
    kernels: [],
    streams: [],
    steps: [],
    launches: [],
    idle: [],
    attribution: null,
    roofline: null,
    price: null,
    advice: [],
    memory: null,
    measured: null,
    damaged: '',
    incomplete: false,
    ...part
  };
}

export function makeChange(part: Partial<IChange>): IChange {
  return {
    name: 'aten::mm',
    before_us: 100,
    after_us: 80,
    before_count: 1,
    before_with: [],
    after_with: [],
    after_count: 1,
    state: 'both',
    place: null,
    instead_of: '',
    ...part
  };
}

export function makeFigure(
  part: Partial<IFigure> & Pick<IFigure, 'code' | 'before' | 'after' | 'unit'>
): IFigure {
  return { covered_before: null, covered_after: null, ...part };
}

export function makeDifference(part: Partial<IDifference> = {}): IDifference {
  return {
    a_step: true,
    before_steps: 8,
    after_steps: 10,
    figures: [
      makeFigure({ code: 'busy', before: 2000, after: 1500, unit: 'us' })
    ],
    operators: [],
    kernels: [],
    lines: [],
    measured: false,
    advice_gone: [],
    advice_new: [],
    advice_kept: [],
    advice_titles: {},
    warnings: [],
    incomplete: false,
    ...part
  };
}

/** Notebooks that are open, by cell. */
export class FakePlaces implements IPlaces {
  constructor(readonly cells: Record<string, string> = {}) {}

  readonly changed = new Signal<this, void>(this);
  readonly opened: string[] = [];

  source(_: string, cell: string): string | null {
    return this.cells[cell] ?? null;
  }

  canOpen(): boolean {
    return true;
  }

  open({ cell, line }: { cell: string; line: number }): Promise<void> {
    this.opened.push(`${cell}:${line}`);
    return Promise.resolve();
  }

  openNotebook(path: string): Promise<void> {
    this.opened.push(path);
    return Promise.resolve();
  }
}

export function makeProfile(
  summary: IProfileSummary | null,
  part: Partial<IProfile> = {}
): IProfile {
  return {
    id: 'p1',
    title: 'one epoch',
    created_at: 1_700_000_000,
    state: 'ready',
    run_id: 'abcdef0123456789',
    notebook: 'a.ipynb',
    size_bytes: 1,
    artifact: '',
    trace_path: '/p/trace',
    trace_target: '',
    message: '',
    summary,
    ...part
  };
}
