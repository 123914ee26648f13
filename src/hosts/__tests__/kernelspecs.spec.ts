import { Bench } from '../../tasks/__tests__/support';
import { refreshKernelspecs } from '../kernelspecs';

it('targets that a terminal added and tested: JupyterLab looks for kernels once', async () => {
  const bench = new Bench({});
  jest.useFakeTimers();
  try {
    const refreshSpecs = jest.fn(() => Promise.resolve());
    refreshKernelspecs(bench.core.events, { refreshSpecs });
    bench.change('run', 'r1');
    await jest.advanceTimersByTimeAsync(60_000);
    expect(refreshSpecs).not.toHaveBeenCalled();
    for (let step = 0; step < 11; step++) {
      bench.change('target', 'gpu-box');
      await jest.advanceTimersByTimeAsync(200);
    }
    await jest.advanceTimersByTimeAsync(60_000);
    expect(refreshSpecs).toHaveBeenCalledTimes(1);
  } finally {
    jest.useRealTimers();
    bench.dispose();
  }
});
