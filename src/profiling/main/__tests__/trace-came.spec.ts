import { nullTranslator } from '@jupyterlab/translation';

import type { IFlame, IProfile } from '../../service';
import { ProfileViewModel } from '../model';

describe('a flame graph that failed for want of its trace', () => {
  it('is asked for again once the trace has come, and not before', async () => {
    let target = 'gpu1';
    let asked = 0;
    const model = new ProfileViewModel({
      id: 'p',
      service: {
        get: async () => ({ trace_target: target }) as IProfile,
        flame: async () => {
          asked += 1;
          if (target) {
            throw new Error(`The trace is on ${target}.`);
          }
          return { nodes: [] } as unknown as IFlame;
        },
        kernelMetrics: () => Promise.reject(new Error('Nothing was measured.'))
      },
      trans: nullTranslator.load('genops_lab')
    });
    const flame = model.flame(null);
    await model.profile.refresh();
    await flame.refresh();
    await model.profile.refresh();
    expect([flame.state, asked]).toEqual(['down', 1]);
    target = '';
    await model.profile.refresh();
    await new Promise(done => setTimeout(done));
    expect([flame.state, asked]).toEqual(['ready', 2]);
    model.dispose();
  });
});
