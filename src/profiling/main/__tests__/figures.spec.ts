import { LOOK } from '../../../core/charts/__tests__/support';
import { csvOf } from '../download';
import { relative, signed } from '../difference/messages';
import { basisOf, codeGroups } from '../lines/groups';
import { outlineOf } from '../memory/memory';
import { tableCode } from '../notebook-code';
import { deviceBars, stepBars, straggler } from '../parts';
import { barsPicture, lengthOf, partAt } from '../picture';
import { kernelRows, operatorRows, siNumber } from '../tables/columns';
import type { IColumn } from '../tables/rows';
import { arranged } from '../tables/rows';

import {
  makeAttribution,
  makeDevice,
  makeKernel,
  makeLine,
  makeOperator,
  makeSummary,
  trans
} from './support';

describe('parts of a device', () => {
  it('add up to its span, idle by its reasons', () => {
    const [bar] = deviceBars(
      makeSummary({
        devices: [makeDevice()],
        idle: [
          {
            device: '0',
            rank: 0,
            gaps: 3,
            total_us: 400,
            p50_us: 1,
            over_1ms: 0,
            over_1ms_us: 0,
            reasons: [
              { code: 'dataloader', total_us: 250, count: 2 },
              { code: 'python', total_us: 0, count: 0 }
            ]
          }
        ]
      }),
      trans
    );
    expect(bar.parts.map(({ id, us }) => [id, us])).toEqual([
      ['compute', 500],
      ['comm', 60],
      ['memory', 40],
      ['idle-dataloader', 250],
      ['idle', 150]
    ]);
    expect(lengthOf(bar)).toBe(1000);
  });

  it('of steps without a device are their lengths', () => {
    const step = {
      rank: 0,
      name: 'ProfilerStep#2',
      start_us: 0,
      span_us: 20,
      busy_us: 0,
      idle_us: 0,
      compute_us: 0,
      comm_us: 0,
      exposed_comm_us: 0,
      memory_us: 0,
      kernels: 0,
      warmup: false
    };
    const [bar] = stepBars(makeSummary({ steps: [step] }), trans);
    expect(bar.label).toBe('Step 2');
    expect(lengthOf(bar)).toBe(20);
  });

  it('are drawn on one scale, and found where they are drawn', () => {
    const bars = [
      { label: 'a', parts: [{ id: 'compute', label: 'C', us: 100 }] },
      { label: 'b', parts: [{ id: 'compute', label: 'C', us: 50 }] }
    ];
    const { parts } = barsPicture({
      bars,
      width: 500,
      look: LOOK,
      colorOf: part => part
    });
    expect(parts[0].width).toBeCloseTo(2 * parts[1].width);
    const { x, y, width } = parts[1];
    expect(partAt(parts, x + width - 1, y + 1)?.bar.label).toBe('b');
    expect(partAt(parts, x + width + 1, y + 1)).toBeUndefined();
  });

  it('name the rank that holds up the others, and none where it is close', () => {
    const ranks = (computes: number[]) =>
      computes.map((compute_us, rank) => makeDevice({ rank, compute_us }));
    expect(straggler(ranks([100, 120, 100]))?.rank).toBe(1);
    expect(straggler(ranks([100, 104, 100]))).toBeNull();
    expect(straggler(ranks([100]))).toBeNull();
  });
});

describe('rows of a table', () => {
  const columns: IColumn<{ name: string; us: number | null; by: string }>[] = [
    { id: 'name', title: 'Name', width: 1, value: ({ name }) => name },
    { id: 'us', title: 'Time', width: 1, value: ({ us }) => us, summed: true }
  ];
  const rows = [
    { name: 'gemm a', us: 5, by: 'mm' },
    { name: 'Gemm b', us: null, by: 'mm' },
    { name: 'add', us: 9, by: 'add' },
    { name: 'gemm c', us: 6, by: 'mm' }
  ];
  const names = (sorted: ReturnType<typeof arranged<(typeof rows)[0]>>) =>
    sorted.map(each =>
      each.kind === 'head' ? `[${each.name}]` : each.row.name
    );

  it('are filtered by all words, and what is not known is last both ways', () => {
    const of = (descending: boolean) =>
      names(
        arranged({
          columns,
          rows,
          filter: ' GEMM ',
          sort: { column: 'us', descending }
        })
      );
    expect(of(true)).toEqual(['gemm c', 'gemm a', 'Gemm b']);
    expect(of(false)).toEqual(['gemm a', 'gemm c', 'Gemm b']);
  });

  it('stand below groups, which are sorted by their sums', () => {
    const sort = { column: 'us', descending: true };
    expect(
      names(
        arranged({
          columns,
          rows,
          filter: '',
          sort,
          groupOf: ({ by }) => by,
          open: new Set(['mm'])
        })
      )
    ).toEqual(['[mm]', 'gemm c', 'gemm a', 'Gemm b', '[add]']);
  });

  it('have the roofline of their shapes by time', () => {
    const work = {
      name: 'aten::mm',
      shapes: '',
      dtype: 'fp32',
      count: 1,
      flops: 1,
      bytes: 1,
      tflops: 1,
      gb_per_s: 1,
      intensity: 1
    };
    const [mm, add] = operatorRows({
      operators: [makeOperator({}), makeOperator({ name: 'aten::add' })],
      roofline: {
        peaks: [],
        flops: 1,
        mfu: null,
        covered: 1,
        usd_a_step: null,
        missing: '',
        operators: [
          { ...work, device_us: 30, share: 0.5, bound: 'compute' },
          { ...work, device_us: 10, share: 0.1, bound: 'memory' },
          { ...work, device_us: 99, share: 0, bound: '' }
        ]
      }
    });
    expect(mm.share).toBeCloseTo(0.4);
    expect(mm.bound).toBe('compute');
    expect(add.share).toBeNull();
    expect(siNumber(6.4e13)).toBe('64 T');
  });

  it('are the top kernels where no more are known', () => {
    const devices = [makeDevice({ top_kernels: [makeKernel({})] })];
    expect(kernelRows({ devices, kernels: [] })).toHaveLength(1);
    expect(
      kernelRows({
        devices,
        kernels: [makeKernel({}), makeKernel({ name: 'b' })]
      })
    ).toHaveLength(2);
  });

  it('are CSV with quotes where they are needed', () => {
    expect(
      csvOf(
        ['name', 'us'],
        [
          ['a,"b"', 1.5],
          ['c', null]
        ]
      )
    ).toBe('name,us\r\n"a,""b""",1.5\r\nc,\r\n');
  });
});

describe('code with times', () => {
  it('is the whole cell where its notebook is open, with what changed', () => {
    const times = [
      makeLine(1, 10, 'x = f()'),
      makeLine(2, 30, 'y = g()'),
      makeLine(9, 5, 'gone()')
    ];
    const [group] = codeGroups(makeAttribution(times), () => 'x = f()\nz = 1');
    expect(group.whole).toBe(true);
    expect(
      group.lines.map(({ number, changed, time }) => [
        number,
        changed,
        time?.device_us
      ])
    ).toEqual([
      [1, false, 10],
      [2, true, 30],
      [9, true, 5]
    ]);
  });

  it('is what is known elsewhere, the costliest cell first', () => {
    const groups = codeGroups(
      makeAttribution([
        makeLine(5, 1, 'a', 'c1'),
        makeLine(4, 9, 'b', 'c2'),
        makeLine(2, 1, 'c', 'c1')
      ]),
      () => null
    );
    expect(groups.map(({ cell }) => cell)).toEqual(['c2', 'c1']);
    expect(groups[1].lines.map(({ number }) => number)).toEqual([2, 5]);
    expect(groups[1].whole).toBe(false);
  });

  it('is compared by the time of the host where no device was used', () => {
    const times = [
      { ...makeLine(1, 0, 'a', 'c1'), cpu_us: 2 },
      { ...makeLine(1, 0, 'b', 'c2'), cpu_us: 7 }
    ];
    expect(basisOf(times)).toBe('cpu_us');
    expect(basisOf([makeLine(1, 3)])).toBe('device_us');
    expect(
      codeGroups(makeAttribution(times), () => null).map(({ us }) => us)
    ).toEqual([7, 2]);
  });
});

describe('the outline of memory', () => {
  it('stays as it is until the next event', () => {
    const points = [
      { at: 10, bytes: 0 },
      { at: 20, bytes: 100 },
      { at: 30, bytes: 50 }
    ];
    expect(outlineOf(points, 100, 10)).toBe(
      'M0 10V10.0H0.0V10.0H50.0V0.0H100.0V5.0H100V10Z'
    );
  });
});

it('a cell takes the trace from the run, or from where it lies', () => {
  const profile = {
    title: 'a\n"b"',
    run_id: '',
    artifact: '',
    trace_path: '/p/trace.json.gz',
    trace_target: ''
  };
  const code = tableCode(profile, 'operators');
  expect(code?.split('\n')[0]).toBe(
    '# The trace of the profile "a\\n\\"b\\"".'
  );
  expect(code).toContain('trace = "/p/trace.json.gz"');
  expect(code).toContain('msgspec.to_builtins(summary.operators)');
  expect(
    tableCode(
      { ...profile, run_id: 'r1', artifact: 'profiles/t.gz' },
      'roofline.operators'
    )
  ).toContain('summary.roofline.operators if summary.roofline else []');
  expect(tableCode({ ...profile, trace_path: '' }, 'operators')).toBeNull();
  expect(
    tableCode({ ...profile, trace_target: 'gpu1' }, 'operators')
  ).toBeNull();
});

it('changes have their sign, and none where there was nothing', () => {
  expect(signed(-12345)).toBe('−12.3 ms');
  expect(signed(12)).toBe('+12 µs');
  expect(signed(0)).toBe('0 µs');
  expect(relative(2000, 1500)).toBe('−25 %');
  expect(relative(0, 5)).toBe('–');
});
