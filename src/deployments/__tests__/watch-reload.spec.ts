import { nullTranslator } from '@jupyterlab/translation';

import { FakeSocket, fakeLive } from '../../core/__tests__/fake-socket';
import type { LiveChannel } from '../../core/live';
import { DeploymentWatch } from '../watch';

const settled = () => new Promise(resolve => setTimeout(resolve, 0));

describe('the log of a deployment, read twice at once', () => {
  let live: LiveChannel;
  let watch: DeploymentWatch;
  let answers: ((lines: string[]) => void)[];
  const latest = (lines: string[]) => answers[answers.length - 1](lines);

  beforeEach(async () => {
    answers = [];
    live = fakeLive();
    watch = new DeploymentWatch({
      name: 'digits',
      live,
      log: () => new Promise(resolve => answers.push(resolve)),
      trans: nullTranslator.load('genops_lab')
    });
    watch.visible = true;
    await settled();
    // Seen again: it is read, and once more when its socket is back.
    watch.visible = false;
    watch.visible = true;
    await settled();
    expect(answers.length).toBeGreaterThan(1);
  });

  afterEach(() => {
    watch.dispose();
    live.dispose();
  });

  it('shows the later answer, without an error', async () => {
    answers[0](['one']);
    await settled();
    latest(['one', 'two']);
    await settled();
    expect(watch.snapshot.error).toBeUndefined();
    expect(watch.snapshot.lines).toEqual(['one', 'two']);
  });

  it('keeps the later answer when the earlier one comes last', async () => {
    latest(['one', 'two']);
    await settled();
    answers[0](['one']);
    await settled();
    expect(watch.snapshot.error).toBeUndefined();
    expect(watch.snapshot.lines).toEqual(['one', 'two']);
  });

  it('keeps lines that came while it was read', async () => {
    FakeSocket.latest?.tell('deployment:digits', { lines: ['two', 'three'] });
    answers[0](['one']);
    latest(['one', 'two']);
    await settled();
    expect(watch.snapshot.lines).toEqual(['one', 'two', 'three']);
  });
});
