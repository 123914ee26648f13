import { trans } from '../../__tests__/support';
import { boundBars } from '../overview';
import { gainWords } from '../rules';
import { stallReason } from '../stalls';
import {
  bestGain,
  bestOf,
  changesOf,
  remarksOf,
  savingOf,
  timeByBound
} from '../sums';
import { boundSentence, metricText, occupancySentences } from '../messages';

import {
  makeBareKernel,
  makeMeasuredKernel,
  makeMeasurement,
  makeRule
} from './support';

describe('the sums of a measurement', () => {
  it('shares the time by what bounds it, also of kernels that are not told', () => {
    const measured = makeMeasurement([
      makeMeasuredKernel({ total_us: 10, bound: 'latency' }),
      makeMeasuredKernel({ total_us: 50, bound: 'memory' }),
      makeMeasuredKernel({ total_us: 15, bound: 'latency' })
    ]);
    expect(timeByBound({ ...measured, total_us: 80 })).toEqual([
      { bound: 'memory', us: 50 },
      { bound: 'latency', us: 25 },
      { bound: '', us: 5 }
    ]);
    expect(timeByBound(measured)).toHaveLength(2);
  });

  it('has a bar a device', () => {
    const bars = boundBars(
      makeMeasurement([
        makeMeasuredKernel({ total_us: 10 }),
        makeMeasuredKernel({ total_us: 4, device: '1', bound: 'memory' })
      ]),
      [0],
      trans
    );
    expect(bars).toEqual([
      {
        label: 'Device 0',
        parts: [{ id: 'bound-compute', label: 'compute', us: 10 }]
      },
      {
        label: 'Device 1',
        parts: [{ id: 'bound-memory', label: 'memory', us: 4 }]
      }
    ]);
  });

  it('puts errors first, then what gains of the kernel, of a part, and without an estimate', () => {
    const kernel = makeMeasuredKernel({
      rules: [
        makeRule({ title: 'remark', kind: 'info', speedup_pct: null, of: '' }),
        makeRule({
          title: 'warning',
          kind: 'warning',
          speedup_pct: null,
          of: ''
        }),
        makeRule({ title: 'plain', speedup_pct: null, of: '' }),
        makeRule({ title: 'part', speedup_pct: 96, of: 'part' }),
        makeRule({ title: 'small', speedup_pct: 3 }),
        makeRule({ title: 'large', speedup_pct: 40 }),
        makeRule({ title: 'error', kind: 'error', speedup_pct: null, of: '' })
      ]
    });
    expect(changesOf(kernel).map(({ title }) => title)).toEqual([
      'error',
      'large',
      'small',
      'part',
      'plain',
      'warning'
    ]);
    expect(remarksOf(kernel).map(({ title }) => title)).toEqual(['remark']);
    expect(bestOf(kernel)?.title).toBe('large');
  });

  it('weighs gains by the time of all launches', () => {
    const short = makeMeasuredKernel({
      total_us: 10,
      rules: [makeRule({ speedup_pct: 90 })]
    });
    const long = makeMeasuredKernel({
      total_us: 100,
      rules: [
        makeRule({ speedup_pct: 96, of: 'part' }),
        makeRule({ speedup_pct: 20 })
      ]
    });
    const best = bestGain(makeMeasurement([short, long]));
    expect([best?.kernel, best?.us]).toEqual([long, 20]);
    expect(savingOf(long.rules[0], long)).toBeNull();
    expect(bestGain(makeMeasurement([makeBareKernel()]))).toBeNull();
    expect(gainWords(long.rules[1], long, trans)).toBe(
      'up to 20 % of the kernel’s time (20 µs)'
    );
    expect(gainWords(long.rules[0], long, trans)).toBe(
      'up to 96 % of the peak of this part'
    );
  });
});

describe('a kernel in words', () => {
  it('says what bounds it, and which level of memory', () => {
    const memory = makeMeasuredKernel({
      bound: 'memory',
      memory_pct: 90.23,
      l1_pct: 90.48,
      l2_pct: 26.61,
      dram_pct: 61.92
    });
    expect(boundSentence(memory, trans)).toMatch(
      /^Memory limits this kernel \(90 % .*L1 cache and shared memory are busiest/
    );
    // Where two are about as busy none is named.
    expect(boundSentence({ ...memory, l2_pct: 85 }, trans)).not.toMatch(
      /busiest/
    );
    expect(boundSentence(makeBareKernel(), trans)).toMatch(/is not known/);
  });

  it.each([
    [
      'registers',
      { registers: 96 },
      /^Registers limit the occupancy \(96 per thread\)/
    ],
    [
      'shared memory',
      { shared_memory_bytes: 49152 },
      /^Shared memory limits the occupancy \(48.0 KiB per block\)/
    ],
    ['blocks', { block: '[32, 1, 1]' }, /blocks of 32 threads are small/],
    [
      'warps',
      { block: '[768, 1, 1]' },
      /blocks of 768 threads leave warps unused/
    ],
    ['barriers', {}, /^Limit of the occupancy: barriers/],
    ['', {}, /^The occupancy limit is not known/]
  ])('says what to change where %s limit it', (limit, part, words) => {
    const [sentence] = occupancySentences(
      makeMeasuredKernel({
        theoretical_occupancy_pct: 50,
        occupancy_limit: limit,
        ...part
      }),
      trans
    );
    expect(sentence).toMatch(words);
  });

  it('says why less was reached, and where more would not help', () => {
    const told = (part: Parameters<typeof makeMeasuredKernel>[0]) =>
      occupancySentences(makeMeasuredKernel(part), trans).slice(1);
    expect(told({ occupancy_pct: 95 })).toEqual([]);
    expect(told({ occupancy_pct: 20, waves: 0.36 })[0]).toMatch(
      /fills only 36 % of the device/
    );
    expect(told({ occupancy_pct: 60, waves: 2.2 })[0]).toMatch(
      /the last of 3 waves is only 20 % full/
    );
    expect(told({ occupancy_pct: 60, waves: 190.5 })[0]).toMatch(
      /end at different times/
    );
    expect(
      told({
        occupancy_pct: 49,
        theoretical_occupancy_pct: 50,
        compute_pct: 85
      })
    ).toEqual(['A unit is busy already, so more warps would gain little.']);
  });

  it('names the reasons of waiting, and shows a new one as it is', () => {
    expect(stallReason('long_scoreboard', trans).name).toBe(
      'Global or local memory'
    );
    expect(stallReason('no_instructions', trans).name).toBe(
      'Instruction fetch'
    );
    expect(stallReason('quantum_foam', trans)).toEqual({
      name: 'quantum foam',
      means: ''
    });
  });

  it.each([
    [628032, 'nsecond', '628 µs'],
    [6740000000, 'byte/second', '6.74 GB/s'],
    [12, 'byte/second', '12 B/s'],
    [1050000000, 'cycle/second', '1.05 GHz'],
    [268457472, 'byte', '256 MiB'],
    [85.2534, '%', '85.25 %'],
    [5916528, 'inst', '5.92 M inst'],
    [48, '', '48'],
    ['GA102', '', 'GA102']
  ])('scales %s %s', (value, unit, words) => {
    expect(metricText(value, unit)).toBe(words);
  });
});
