import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { CHANGED_SCHEMA, GenOpsEvents } from '../../../core/events';
import type { Resource } from '../../../core/resource';
import { resultResource } from '../result-resource';
import type { IResult } from '../service';

const trans = nullTranslator.load('genops_lab');

class Stream {
  signal = new Signal<this, Event.Emission>(this);
  revision = 0;

  tell(kind: string, id: string): void {
    const revision = ++this.revision;
    this.signal.emit({ schema_id: CHANGED_SCHEMA, kind, id, revision });
  }
}

describe('the resource of an evaluation', () => {
  let stream: Stream;
  let found: { mean: number; task?: string };
  let result: Resource<IResult>;
  const get = jest.fn(() =>
    Promise.resolve({
      evaluation: { id: 'mine', stage: 'done' },
      report: { scored: [{ mean: found.mean }] },
      task: found.task ? { id: found.task } : undefined
    } as unknown as IResult)
  );
  const tell = async (kind: string, id: string) => {
    stream.tell(kind, id);
    await jest.advanceTimersByTimeAsync(500);
  };

  beforeEach(async () => {
    jest.useFakeTimers();
    get.mockClear();
    found = { mean: 0.5 };
    stream = new Stream();
    const events = new GenOpsEvents({ stream: stream.signal });
    result = resultResource({ get }, 'mine', events, trans);
    result.visible = true;
    await jest.advanceTimersByTimeAsync(0);
  });

  afterEach(() => {
    result.dispose();
    jest.useRealTimers();
  });

  it('reads the progress of its own task, and no other again and again', async () => {
    for (let at = 0; at < 5; at++) {
      await tell('task', 'of another evaluation');
    }
    await tell('answer-evaluation', 'another evaluation');
    expect(get).toHaveBeenCalledTimes(2);
    found.task = 'own';
    for (let at = 0; at < 5; at++) {
      await tell('task', 'own');
    }
    expect(get).toHaveBeenCalledTimes(7);
    found.task = undefined;
    await tell('task', 'own');
    expect(result.value?.task).toBeUndefined();
  });

  it('keeps figures that did not change, so that their examples are not read again', async () => {
    const { evaluation, report } = result.value!;
    found.task = 'own';
    await tell('task', 'own');
    expect(result.value?.task).toEqual({ id: 'own' });
    expect(result.value?.report).toBe(report);
    expect(result.value?.evaluation).toBe(evaluation);
    found.mean = 0.7;
    await tell('answer-evaluation', 'mine');
    expect(result.value?.report).not.toBe(report);
    expect(result.value?.evaluation).toBe(evaluation);
  });
});
