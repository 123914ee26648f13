import { FakeSocket } from '../../core/__tests__/fake-socket';
import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { HISTORY, TargetsModel, gpuShares, inOrder } from '../model';
import {
  describeLink,
  formatPrice,
  formatRoundTrip,
  gpuSummary,
  kernelWords,
  staleWords
} from '../messages';

import { GIB, gpu, kernel, reading, target } from './support';

describe('the targets', () => {
  let bench: Bench;
  let model: TargetsModel;

  beforeEach(() => {
    bench = new Bench({ 'GET /targets': [target()] });
    model = new TargetsModel(bench.core);
  });

  afterEach(() => {
    model.dispose();
    bench.dispose();
  });

  it('are read only while somebody watches, and live then', async () => {
    bench.change('target', 'gpu-box');
    await settle();
    expect(bench.calls).toEqual([]);
    expect(FakeSocket.latest).toBeNull();

    const one = model.watch();
    model.visible = true;
    await settle();
    expect(bench.count('GET /targets')).toBe(1);
    expect(FakeSocket.latest?.topics).toEqual(['targets']);
    FakeSocket.latest?.tell('targets', [target({ state: 'down' })]);
    expect(model.find('gpu-box')?.state).toBe('down');
    bench.change('target', 'gpu-box');
    await settle();
    expect(model.find('gpu-box')?.state).toBe('up');

    one.dispose();
    expect(FakeSocket.latest).not.toBeNull();
    model.visible = false;
    expect(FakeSocket.latest).toBeNull();
    bench.change('target', 'gpu-box');
    await settle();
    expect(bench.count('GET /targets')).toBe(2);
  });

  it('are found by the name of their kernel', async () => {
    model.visible = true;
    await settle();
    expect(model.ofKernel('genops-gpu-box')?.name).toBe('gpu-box');
    expect(model.ofKernel('python3')).toBeUndefined();
  });

  it('keep a bounded history of new readings alone', async () => {
    model.visible = true;
    await settle();
    const tell = (sampled_at: number, busy: number) =>
      FakeSocket.latest?.tell('targets', [
        target({
          reading: reading({
            sampled_at,
            gpus: [gpu({ utilization_percent: busy })]
          })
        })
      ]);
    tell(1, 10);
    tell(1, 10);
    expect(model.history('gpu-box').busy).toEqual([10]);
    for (let at = 2; at < HISTORY + 10; at++) {
      tell(at, at);
    }
    expect(model.history('gpu-box').busy).toHaveLength(HISTORY);
    expect(model.history('gpu-box').memory.slice(-1)).toEqual([25]);
    expect(model.history('other').busy).toEqual([]);
  });

  it('wait for how a connection ends', async () => {
    // What is known of the attempt before says nothing of this one.
    bench.answers['GET /targets'] = [
      target({ state: 'failed', message: 'Before.' })
    ];
    bench.answers['GET /targets/gpu-box'] = target({ state: 'connecting' });
    bench.answers['POST /targets/gpu-box/connect'] = target({
      state: 'connecting'
    });
    let ended = false;
    const connected = model.connect('gpu-box').finally(() => {
      ended = true;
    });
    await settle();
    expect(ended).toBe(false);
    FakeSocket.latest?.tell('targets', [target({ state: 'asking' })]);
    await settle();
    expect(ended).toBe(false);
    const failed = target({ state: 'failed', message: 'No key was taken.' });
    bench.answers['GET /targets/gpu-box'] = failed;
    FakeSocket.latest?.tell('targets', [failed]);
    expect((await connected).message).toBe('No key was taken.');
    expect(FakeSocket.latest).toBeNull();
  });

  it('stop waiting when they are told to, and when the server refuses', async () => {
    bench.answers['GET /targets'] = [target({ state: 'connecting' })];
    bench.answers['POST /targets/gpu-box/connect'] = target({
      state: 'connecting'
    });
    bench.answers['GET /targets/gpu-box'] = target({ state: 'connecting' });
    const abort = new AbortController();
    const connected = model.connect('gpu-box', abort.signal);
    await settle();
    abort.abort();
    expect((await connected).state).toBe('connecting');
    bench.answers['POST /targets/gpu-box/connect'] = new Refusal(
      404,
      'not_found',
      'There is no target.'
    );
    await expect(model.connect('gpu-box')).rejects.toThrow('There is no');
    expect(FakeSocket.latest).toBeNull();
  });

  it('stand with this machine first', () => {
    const all = [
      target({ name: 'b' }),
      target({ name: 'here', kind: 'local', is_this_machine: true }),
      target({ name: 'a' })
    ];
    expect(inOrder(all).map(({ name }) => name)).toEqual(['here', 'b', 'a']);
  });
});

describe('words for targets', () => {
  it('call a lost link disconnected and never dead', () => {
    const words = describeLink(
      target({ state: 'down', retry_at: 112.2 }),
      100,
      trans
    );
    expect(words.label).toBe('disconnected');
    expect(words.tone).toBe('warning');
    expect(words.detail).toBe(
      'Its kernels keep running. Reconnecting in 13 s.'
    );
    expect(
      describeLink(target({ state: 'down' }), 100, trans).detail
    ).toContain('Reconnecting now.');
  });

  it('say why a host is waited for, and for how long', () => {
    const { detail, label, tone } = describeLink(
      target({ state: 'pending', message: 'All are in use.', since: 100 }),
      190,
      trans
    );
    expect([tone, label]).toEqual(['busy', 'waiting to start']);
    expect(detail).toBe('All are in use. It has waited for 1 min 30 s.');
  });

  it('say why a connection failed and what to do', () => {
    const { detail, tone } = describeLink(
      target({ state: 'failed', message: 'No key.', hint: 'Add one.' }),
      0,
      trans
    );
    expect([tone, detail]).toEqual(['error', 'No key. Add one.']);
  });

  it('leave out what is not known', () => {
    expect(formatRoundTrip(null)).toBe('');
    expect(formatRoundTrip(0.00042)).toBe('0.4 ms');
    expect(formatRoundTrip(0.0231)).toBe('23 ms');
    expect(formatPrice(null, trans)).toBe('');
    expect(formatPrice(2.1, trans)).toBe('2.1 USD/h');
    expect(gpuSummary(target(), trans)).toBe('');
  });

  it('tell the age of figures that are not live', () => {
    const figures = { reading: reading(), reading_age_s: 1 };
    expect(staleWords(target(figures), trans)).toBe('');
    expect(staleWords(target({ ...figures, reading_age_s: 60 }), trans)).toBe(
      'Readings are 1 min old'
    );
    expect(staleWords(target({ ...figures, state: 'down' }), trans)).toBe(
      'Readings are 1.0 s old'
    );
  });

  it('sum GPUs up, and say what does not work', () => {
    const of = (part: Parameters<typeof reading>[0]) =>
      gpuSummary(target({ reading: reading(part) }), trans);
    expect(of({ gpus: [gpu(), gpu({ index: 1 })] })).toBe(
      '2 × NVIDIA H100, 60.0 GiB free'
    );
    const slice = (free: number) => ({
      uuid: '',
      profile: '',
      memory_total_bytes: free * GIB,
      memory_used_bytes: 0
    });
    expect(
      of({ gpus: [gpu({ name: 'A100', mig: [slice(10), slice(20)] })] })
    ).toBe('A100, 20.0 GiB free on a slice');
    expect(of({ gpus: [gpu(), gpu({ index: 1, name: 'T4' })] })).toBe(
      '2 GPUs, 60.0 GiB free'
    );
    expect(of({ gpus: [gpu({ memory_used_bytes: null })] })).toBe(
      'NVIDIA H100'
    );
    expect(of({ gpus: [] })).toBe('No GPU');
    expect(of({ gpus: [], gpu_state: 'error' })).toContain('driver');
  });

  it('average what GPUs report', () => {
    expect(
      gpuShares([
        gpu({ utilization_percent: null, memory_total_bytes: null }),
        gpu({ utilization_percent: 40, memory_used_bytes: 40 * GIB })
      ])
    ).toEqual({ memory: 50, busy: 40 });
    expect(gpuShares([])).toEqual({ memory: null, busy: null });
  });

  it('name what a kernel does', () => {
    expect(kernelWords(kernel(), trans).label).toBe('busy');
    expect(kernelWords(kernel({ execution_state: '' }), trans).label).toBe(
      'idle'
    );
    expect(kernelWords(kernel({ state: 'ended' }), trans).label).toBe('ended');
  });
});
