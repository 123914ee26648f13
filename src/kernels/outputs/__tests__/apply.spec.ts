import { OutputAreaModel } from '@jupyterlab/outputarea';

import { OutputsWriter } from '../apply';
import { MIME } from '../excerpt';

import { iopub } from './messages';

const status = (state: string) => iopub('status', { execution_state: state });
const stream = (text: string, name = 'stdout') =>
  iopub('stream', { name, text });
const display = (text: string, id?: string, kind = 'display_data') =>
  iopub(kind, {
    data: { 'text/plain': text },
    metadata: {},
    ...(id ? { transient: { display_id: id } } : {})
  });

describe('OutputsWriter', () => {
  let outputs: OutputAreaModel;
  let writer: OutputsWriter;

  beforeEach(() => {
    outputs = new OutputAreaModel();
    writer = new OutputsWriter(outputs);
  });

  it('joins what one stream prints and keeps two streams apart', () => {
    for (const message of [
      stream('a'),
      stream('b\n'),
      stream('oh', 'stderr'),
      stream('c')
    ]) {
      writer.write(message);
    }
    expect(outputs.toJSON()).toEqual([
      { output_type: 'stream', name: 'stdout', text: 'ab\n' },
      { output_type: 'stream', name: 'stderr', text: 'oh' },
      { output_type: 'stream', name: 'stdout', text: 'c' }
    ]);
  });

  it('updates each display of an id in its place', () => {
    writer.write(display('one', 'x'));
    writer.write(display('between'));
    writer.write(display('two', 'x'));
    writer.write(display('new', 'x', 'update_display_data'));
    const texts = outputs
      .toJSON()
      .map(output => (output.data as Record<string, unknown>)['text/plain']);
    expect(texts).toEqual(['new', 'between', 'new']);
  });

  it('clears at once, or with the next output', () => {
    writer.write(stream('old'));
    writer.write(iopub('clear_output', { wait: true }));
    expect(outputs.length).toBe(1);
    writer.write(stream('new'));
    expect(outputs.toJSON()).toEqual([
      { output_type: 'stream', name: 'stdout', text: 'new' }
    ]);
    writer.write(iopub('clear_output', { wait: false }));
    expect(outputs.length).toBe(0);
  });

  it('forgets the displays that were cleared', () => {
    writer.write(display('one', 'x'));
    writer.write(iopub('clear_output', { wait: false }));
    writer.write(stream('text'));
    writer.write(display('new', 'x', 'update_display_data'));
    expect(outputs.toJSON()[0]).toMatchObject({ text: 'text' });
  });

  it('renews the excerpt that the account has put there', () => {
    const excerpt = (lines: number, run = 'run-1') => ({
      'text/plain': `${lines} lines`,
      [MIME]: { msg_id: run, lines }
    });
    outputs.fromJSON([
      { output_type: 'stream', name: 'stdout', text: 'head' },
      { output_type: 'display_data', data: excerpt(1), metadata: {} }
    ] as never);
    const update = (lines: number, run?: string) =>
      iopub('update_display_data', {
        data: excerpt(lines, run) as never,
        metadata: {},
        transient: { display_id: 'of-the-connection' }
      });
    writer.write(update(7, 'another run'));
    expect(outputs.toJSON()[1].data).toEqual(excerpt(1));
    writer.write(update(7));
    expect(outputs.length).toBe(2);
    expect(outputs.toJSON()[1].data).toEqual(excerpt(7));
  });

  it('says when the execution is over', () => {
    expect(writer.write(status('busy'))).toBe(false);
    expect(
      writer.write(
        iopub('error', { ename: 'E', evalue: 'v', traceback: ['E: v'] })
      )
    ).toBe(false);
    expect(writer.write(status('idle'))).toBe(true);
    expect(outputs.toJSON()[0].output_type).toBe('error');
  });
});
