import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { MachineModel } from '../../kernels/model';
import { Bench, settle, trans } from '../../tasks/__tests__/support';
import { TargetsModel } from '../model';
import { Picker } from '../picker';
import { NO_RESOURCES } from '../resource-choice';
import { QuestionsModel } from '../questions';
import { PickerView } from '../view/picker-dialog';

import { target } from './support';

const GPUS = {
  name: 'gpus',
  label: 'GPUs',
  help: '',
  widget: 'number',
  default: null,
  required: false,
  advanced: false,
  locked: false,
  administered: [],
  choices: [],
  choice_labels: {},
  pattern: '',
  minimum: 0,
  maximum: null,
  noun: '',
  hint: ''
};

let bench: Bench;
let model: TargetsModel;

beforeEach(() => {
  bench = new Bench({ 'GET /targets': [target()], 'GET /questions': [] });
  model = new TargetsModel(bench.core);
});

afterEach(() => {
  cleanup();
  model.dispose();
  bench.dispose();
});

describe('the picker', () => {
  let picker: Picker;
  let machine: MachineModel;
  let questions: QuestionsModel;
  const onAccept = jest.fn();
  const onCancel = jest.fn();

  beforeEach(() => {
    machine = new MachineModel({
      ...bench.core,
      fetch: () => Promise.reject(new Error('away'))
    });
    questions = new QuestionsModel(bench.core, model.service);
  });

  afterEach(() => {
    picker.dispose();
    questions.dispose();
    machine.dispose();
  });

  function Shown(): React.ReactElement {
    const [, again] = React.useReducer((count: number) => count + 1, 0);
    React.useEffect(() => {
      picker.changed.connect(again, again);
      return () => {
        picker.changed.disconnect(again, again);
      };
    }, []);
    return (
      <PickerView
        {...{ picker, questions, trans, onAccept, onCancel }}
        title="Where?"
        action="Start kernel"
        losesState={picker.current !== ''}
      />
    );
  }

  async function show(kernelName: string): Promise<void> {
    picker = new Picker(model, machine, { here: 'python3', kernelName, trans });
    render(<Shown />);
    await act(() => settle());
  }

  const radio = (name: RegExp) =>
    screen.getByRole<HTMLInputElement>('radio', { name });
  const accept = (name: string) =>
    screen.getByRole<HTMLButtonElement>('button', { name });

  it('chooses what the notebook has at first, which needs no start', async () => {
    await show('genops-gpu-box');
    expect(radio(/gpu-box/).checked).toBe(true);
    expect(accept('Start kernel').disabled).toBe(true);
    fireEvent.click(radio(/This machine/));
    expect(picker.place).toEqual({
      target: null,
      kernelName: 'python3',
      environment: {},
      resources: NO_RESOURCES
    });
    expect(accept('Start kernel').disabled).toBe(false);
    expect(screen.getByText(/variables will be lost/)).toBeTruthy();
  });

  it('connects on accepting, and tells why it could not', async () => {
    bench.answers['GET /targets'] = [target({ state: 'idle' })];
    bench.answers['POST /targets/gpu-box/connect'] = () => {
      const failed = { state: 'failed' as const, message: 'No route.' };
      bench.answers['GET /targets'] = [target({ ...failed, hint: 'VPN?' })];
      bench.answers['GET /targets/gpu-box'] = target({
        ...failed,
        hint: 'VPN?'
      });
      bench.change('target', 'gpu-box');
      return target({ state: 'connecting' });
    };
    await show('');
    expect(bench.calls.some(call => call.startsWith('POST'))).toBe(false);
    fireEvent.click(radio(/gpu-box/));
    expect(accept('Connect and start')).toBeTruthy();
    await act(async () => expect(await picker.connect()).toBe(false));
    // Once, with what to do.
    expect(screen.getByText('No route.')).toBeTruthy();
    expect(screen.getByText('VPN?')).toBeTruthy();
    bench.answers['POST /targets/gpu-box/connect'] = () => {
      bench.answers['GET /targets'] = [target()];
      bench.answers['GET /targets/gpu-box'] = target();
      bench.change('target', 'gpu-box');
      return target({ state: 'connecting' });
    };
    await act(async () => expect(await picker.connect()).toBe(true));
  });

  it('restarts a kernel where it is when that frees it to other GPUs', async () => {
    bench.answers['POST /targets/best-fit'] = {
      target: 'gpu-box',
      kernel_name: 'genops-gpu-box',
      gpus: [1],
      cuda_visible_devices: '1',
      environment: { CUDA_VISIBLE_DEVICES: '1' },
      preset: '',
      resources: NO_RESOURCES,
      reason: 'GPU 1 is idle.'
    };
    await show('genops-gpu-box');
    expect(accept('Start kernel').disabled).toBe(true);
    fireEvent.click(accept('Choose'));
    await act(() => settle());
    expect(accept('Start kernel').disabled).toBe(false);
  });

  it('takes the preset of a cluster that fits best, or its resources', async () => {
    const resources = { ...NO_RESOURCES, gpus: 1, gpu_type: 'h100' };
    const preset = {
      name: '1 x h100',
      kernel_name: 'genops-queue.1-x-h100',
      resources,
      price_per_hour: 3,
      locked: true
    };
    bench.answers['GET /targets'] = [
      target({ name: 'queue', allocates: true, presets: [preset] })
    ];
    bench.answers['GET /targets/queue/resources'] = {
      fields: [GPUS, { ...GPUS, name: 'gpu_type', widget: 'text' }],
      presets: [preset]
    };
    const fit = {
      target: 'queue',
      kernel_name: preset.kernel_name,
      gpus: [],
      cuda_visible_devices: '',
      environment: {},
      preset: preset.name,
      resources: NO_RESOURCES,
      reason: 'queue, preset 1 x h100: 3 of 8 h100 free, nobody waits.'
    };
    bench.answers['POST /targets/best-fit'] = fit;
    await show('');
    fireEvent.click(accept('Choose'));
    await act(() => settle());
    expect(picker.place.kernelName).toBe(preset.kernel_name);
    expect(screen.getByText(/nobody waits/)).toBeTruthy();
    expect(
      screen.getByText('1 x h100, 3 USD/h (by your administrator)')
    ).toBeTruthy();
    bench.answers['POST /targets/best-fit'] = { ...fit, preset: '', resources };
    fireEvent.click(accept('Choose'));
    await act(() => settle());
    expect(picker.place).toMatchObject({
      kernelName: 'genops-queue',
      resources
    });
  });

  it('asks for resources of a new host within limits, and keeps a preset', async () => {
    const queue = target({
      name: 'queue',
      allocates: true,
      host_noun: 'pod',
      request_language: 'yaml'
    });
    bench.answers['GET /targets'] = [queue];
    bench.answers['GET /targets/queue/request'] = { text: 'kind: Pod' };
    bench.answers['GET /targets/queue/resources'] = {
      fields: [
        { ...GPUS, default: 1, maximum: 4 },
        {
          ...GPUS,
          name: 'memory_bytes',
          label: 'Memory',
          maximum: 64 * 1024 ** 3,
          administered: ['maximum']
        }
      ],
      presets: []
    };
    const preset = {
      name: '2 GPUs',
      kernel_name: 'genops-queue.2-gpus',
      resources: { ...NO_RESOURCES, gpus: 2 }
    };
    bench.answers['POST /targets/queue/presets'] = preset;
    await show('genops-queue');
    expect(accept('Start kernel').disabled).toBe(true);
    fireEvent.click(screen.getByRole('button', { name: /Start with/ }));
    expect(screen.getByText(/administrator allows 0 to 64/)).toBeTruthy();
    const gpus = screen.getByLabelText<HTMLInputElement>('GPUs');
    expect(gpus.placeholder).toBe('1');
    fireEvent.change(gpus, { target: { value: '5' } });
    expect(screen.getByText('At most 4.')).toBeTruthy();
    expect(accept('Start kernel').disabled).toBe(true);
    fireEvent.change(gpus, { target: { value: '2' } });
    fireEvent.change(screen.getByLabelText('Memory (GiB)'), {
      target: { value: '1,5' }
    });
    expect(picker.place.resources).toEqual({
      ...NO_RESOURCES,
      gpus: 2,
      memory_bytes: 1.5 * 1024 ** 3
    });
    expect(accept('Start kernel').disabled).toBe(false);
    fireEvent.click(screen.getByRole('button', { name: 'YAML of this start' }));
    expect(await screen.findByText('kind: Pod')).toBeTruthy();
    expect(bench.asked('GET /targets/queue/request')).toEqual([
      { gpus: '2', memory_bytes: `${1.5 * 1024 ** 3}` }
    ]);
    fireEvent.click(screen.getByLabelText(/Keep as a preset/));
    await act(async () => expect(await picker.connect()).toBe(true));
    expect(bench.bodies).toContainEqual({
      name: '',
      resources: { ...NO_RESOURCES, gpus: 2, memory_bytes: 1.5 * 1024 ** 3 },
      price_per_hour: null
    });
    expect(picker.place).toMatchObject({
      kernelName: 'genops-queue.2-gpus',
      resources: NO_RESOURCES
    });
  });

  it('chooses the best fit, and says why', async () => {
    bench.answers['POST /targets/best-fit'] = {
      target: 'gpu-box',
      kernel_name: 'genops-gpu-box',
      gpus: [1],
      cuda_visible_devices: '1',
      environment: { CUDA_VISIBLE_DEVICES: '1' },
      preset: '',
      resources: NO_RESOURCES,
      reason: 'GPU 1 has the least memory that suffices.'
    };
    await show('');
    fireEvent.change(screen.getByLabelText('Best fit for'), {
      target: { value: '40' }
    });
    fireEvent.click(accept('Choose'));
    await act(() => settle());
    expect(bench.bodies).toContainEqual({
      memory_bytes: 40 * 1024 ** 3,
      count: 1
    });
    expect(radio(/gpu-box/).checked).toBe(true);
    expect(screen.getByText(/least memory.*only this GPU/)).toBeTruthy();
    expect(picker.place.environment).toEqual({ CUDA_VISIBLE_DEVICES: '1' });
    fireEvent.click(radio(/This machine/));
    expect(picker.place.environment).toEqual({});
    expect(screen.queryByText(/least memory/)).toBeNull();
  });
});
