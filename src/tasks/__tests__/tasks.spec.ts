import { Notification } from '@jupyterlab/apputils';
import { act, cleanup, render, screen } from '@testing-library/react';
import * as React from 'react';

import { AttentionModel } from '../../panel/attention';
import { TasksModel } from '../model';
import { TaskNotifications, describeTask } from '../notifications';
import type { ITask } from '../service';
import { ActivityView } from '../view/activity';

import { Bench, Refusal, settle, trans } from './support';

function task(id: string, part: Partial<ITask> = {}): ITask {
  return {
    id,
    title: `Deploy ${id}`,
    state: 'running',
    subject: `deployment:${id}`,
    kind: '',
    client: '',
    message: '',
    hint: '',
    progress: null,
    created_at: 1,
    finished_at: null,
    ...part
  };
}

const shown = () =>
  Notification.manager.notifications.map(({ message, type }) => [
    type,
    message
  ]);

describe('notifications of tasks', () => {
  let bench: Bench;
  let model: TasksModel;
  let notifications: TaskNotifications;
  const onLog = jest.fn();
  const onCancel = jest.fn();

  beforeEach(() => {
    bench = new Bench({ 'GET /tasks': [] });
    model = new TasksModel(bench.core);
    notifications = new TaskNotifications({
      model,
      trans,
      onLog,
      onCancel,
      toastDrawnMs: 0
    });
    jest.clearAllMocks();
  });

  afterEach(() => {
    jest.useRealTimers();
    notifications.dispose();
    model.dispose();
    bench.dispose();
    Notification.dismiss();
  });

  it('tells what runs at load and not what had ended by then', async () => {
    bench.answers['GET /tasks'] = [
      task('b', { message: 'Loading the model.' }),
      task('a', { state: 'failed', message: 'No.' })
    ];
    model.start();
    await settle();
    expect(shown()).toEqual([['in-progress', 'Deploy b: Loading the model.']]);
  });

  it('turns one notification from in progress to done', async () => {
    model.start();
    await settle();
    bench.answers['GET /tasks'] = [task('a')];
    bench.change('task', 'a');
    await settle();
    expect(shown()).toEqual([['in-progress', 'Deploy a']]);
    bench.answers['GET /tasks'] = [
      task('a', { state: 'done', message: 'It answers.' })
    ];
    bench.change('task', 'a');
    bench.change('task', 'a');
    await settle();
    expect(shown()).toEqual([['success', 'Deploy a: It answers.']]);
  });

  it('tells a task that began and failed between two looks, once', async () => {
    model.start();
    await settle();
    bench.answers['GET /tasks'] = [
      task('a', { state: 'failed', message: 'Disk full.', hint: 'Free some.' })
    ];
    bench.change('task', 'a');
    await settle();
    bench.change('task', 'other');
    await settle();
    expect(shown()).toEqual([['error', 'Deploy a: Disk full. Free some.']]);
  });

  it('comes back with a failure after the person closed it', async () => {
    bench.answers['GET /tasks'] = [task('a')];
    model.start();
    await settle();
    Notification.dismiss();
    bench.answers['GET /tasks'] = [task('a', { progress: 0.5 })];
    bench.change('task', 'a');
    await settle();
    expect(shown()).toEqual([]);
    bench.answers['GET /tasks'] = [
      task('a', { state: 'failed', message: 'No.' })
    ];
    bench.change('task', 'a');
    await settle();
    expect(shown()).toEqual([['error', 'Deploy a: No.']]);
  });

  it('says nothing of what somebody else shows', async () => {
    const muted = notifications.mute('target:gpu1');
    bench.answers['GET /tasks'] = [task('a', { subject: 'target:gpu1' })];
    model.start();
    await settle();
    expect(shown()).toEqual([]);
    muted.dispose();
    bench.change('task', 'a');
    await settle();
    expect(shown()).toEqual([['in-progress', 'Deploy a']]);
  });

  it('says nothing of what another page or a terminal started', async () => {
    model.start();
    await settle();
    const { client } = bench.core.api;
    bench.answers['GET /tasks'] = [
      task('a', { client: 'socket', state: 'failed' }),
      task('b', { client: 'another page' }),
      task('c', { client })
    ];
    bench.change('task', 'a');
    await settle();
    expect(client).toMatch(/^[\w-]{8,64}$/);
    expect(shown()).toEqual([['in-progress', 'Deploy c']]);
  });

  it('lets a success go after 4 s, also while the page has no focus', async () => {
    jest.useFakeTimers();
    const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
    bench.answers['GET /tasks'] = [task('a')];
    model.start();
    await pass(150);
    bench.answers['GET /tasks'] = [
      task('a', { state: 'done', message: 'It answers.' }),
      task('b', { state: 'failed', message: 'No.' })
    ];
    bench.change('task', 'a');
    await pass(1000);
    expect(shown()).toHaveLength(2);
    await pass(4000);
    expect(shown()).toEqual([['error', 'Deploy b: No.']]);
  });

  it('has one notification a subject: a new task takes the place of the last', async () => {
    const subject = 'target:gpu1';
    model.start();
    await settle();
    bench.answers['GET /tasks'] = [
      task('a', { subject, state: 'failed', message: 'No.' })
    ];
    bench.change('task', 'a');
    await settle();
    bench.answers['GET /tasks'] = [
      task('b', { subject }),
      task('a', { subject, state: 'failed', message: 'No.' })
    ];
    bench.change('task', 'b');
    await settle();
    expect(shown()).toEqual([['in-progress', 'Deploy b']]);
  });

  it('covers the page with two at most: earlier ones wait in the list of notifications', async () => {
    model.start();
    await settle();
    const failed = (id: string) =>
      task(id, { state: 'failed', message: 'No.' });
    bench.answers['GET /tasks'] = [failed('c'), failed('b'), task('a')];
    bench.change('task', 'a');
    await settle();
    const visible = () =>
      Notification.manager.notifications
        .filter(({ options }) => options.autoClose !== 0)
        .map(({ message }) => message)
        .sort();
    expect(shown()).toHaveLength(3);
    expect(visible()).toEqual(['Deploy b: No.', 'Deploy c: No.']);
    // Its progress is told where it is now, its failure in sight again.
    bench.answers['GET /tasks'] = [task('a', { message: 'Half.' })];
    bench.change('task', 'a');
    await settle();
    expect(visible()).toEqual(['Deploy b: No.', 'Deploy c: No.']);
    expect(shown()).toContainEqual(['in-progress', 'Deploy a: Half.']);
    bench.answers['GET /tasks'] = [failed('a')];
    bench.change('task', 'a');
    await settle();
    expect(visible()).toEqual(['Deploy a: No.', 'Deploy c: No.']);
    expect(shown()).toHaveLength(3);
  });

  it('looks again with the next event after the server was away', async () => {
    bench.answers['GET /tasks'] = new Refusal(503, 'unavailable', 'starting');
    model.start();
    await settle();
    bench.answers['GET /tasks'] = [task('a')];
    bench.change('task', 'a');
    await settle();
    expect(shown()).toEqual([['in-progress', 'Deploy a']]);
  });

  it('stays with what can be done next, also where it was closed before', async () => {
    const next = jest.fn();
    const offered = notifications.offer(({ kind }) =>
      kind === 'environment' ? [{ label: 'New notebook', callback: next }] : []
    );
    bench.answers['GET /tasks'] = [task('a', { kind: 'environment' })];
    model.start();
    await settle();
    const labels = () =>
      Notification.manager.notifications.map(({ options }) =>
        (options.actions ?? []).map(({ label }) => label)
      );
    expect(labels()).toEqual([['Show log', 'Cancel']]);
    Notification.dismiss();
    bench.answers['GET /tasks'] = [
      task('a', { kind: 'environment', state: 'done', message: 'It can.' }),
      task('b', { state: 'done' })
    ];
    bench.change('task', 'a');
    await settle();
    expect(labels().sort()).toEqual([
      ['Show log'],
      ['Show log', 'New notebook']
    ]);
    const { options } = Notification.manager.notifications.find(({ message }) =>
      message.includes('It can.')
    )!;
    expect(options.autoClose).toBe(false);
    options.actions?.[1].callback(new MouseEvent('click'));
    expect(next).toHaveBeenCalledTimes(1);
    offered.dispose();
    Notification.dismiss();
    bench.answers['GET /tasks'] = [
      task('c', { kind: 'environment', state: 'done' })
    ];
    bench.change('task', 'c');
    await settle();
    expect(labels()).toEqual([['Show log']]);
  });

  it('offers the log always and cancelling while it runs', async () => {
    bench.answers['GET /tasks'] = [task('a')];
    model.start();
    await settle();
    const actions = () =>
      Notification.manager.notifications[0].options.actions ?? [];
    expect(actions().map(({ label }) => label)).toEqual(['Show log', 'Cancel']);
    const click = new MouseEvent('click', { cancelable: true });
    actions()[0].callback(click);
    actions()[1].callback(click);
    expect(onLog).toHaveBeenCalledWith('a');
    expect(onCancel).toHaveBeenCalledWith('a');
    expect(click.defaultPrevented).toBe(true);
    bench.answers['GET /tasks'] = [task('a', { state: 'cancelled' })];
    bench.change('task', 'a');
    await settle();
    expect(actions().map(({ label }) => label)).toEqual(['Show log']);
    expect(shown()).toEqual([['warning', 'Deploy a: cancelled.']]);
  });

  it('dismisses no toast before JupyterLab has drawn it: it would stay for ever', async () => {
    notifications.dispose();
    notifications = new TaskNotifications({
      model,
      trans,
      onLog,
      onCancel,
      toastDrawnMs: 1000
    });
    bench.answers['GET /tasks'] = [task('a')];
    bench.change('task', 'a');
    await settle();
    bench.answers['GET /tasks'] = [
      task('a', { state: 'failed', message: 'No.' })
    ];
    bench.change('task', 'a');
    await settle();
    expect(shown()).toHaveLength(2);
    await settle(1000);
    expect(shown()).toEqual([['error', 'Deploy a: No.']]);
  });

  it('says the title once when the message repeats it', () => {
    expect(describeTask(task('a', { message: 'Deploy a' }), trans)).toBe(
      'Deploy a'
    );
  });
});

describe('the log of a task', () => {
  it('is read while visible, again when the task changes', async () => {
    const bench = new Bench({
      'GET /tasks/a': task('a'),
      'GET /tasks/a/log': { id: 'a', lines: ['one'] }
    });
    const model = new TasksModel(bench.core);
    const log = model.log('a');
    log.visible = true;
    await settle();
    expect(log.value?.lines).toEqual(['one']);
    bench.answers['GET /tasks/a/log'] = { id: 'a', lines: ['one', 'two'] };
    bench.change('task', 'b');
    await settle();
    expect(log.value?.lines).toEqual(['one']);
    bench.change('task', 'a');
    await settle();
    expect(log.value?.lines).toEqual(['one', 'two']);
    log.dispose();
    model.dispose();
    bench.dispose();
  });
});

describe('the section Activity', () => {
  it('has what needs a person, work in progress, then what has ended, also of other pages', async () => {
    const bench = new Bench({
      'GET /tasks': [
        task('c', { state: 'failed', message: 'No port is free.' }),
        task('b', { progress: 0.5, client: 'another page' }),
        task('a', { state: 'done', finished_at: 2 })
      ]
    });
    const model = new TasksModel(bench.core);
    const attention = new AttentionModel();
    const tasks = model.list();
    const [onLog, onCancel] = [jest.fn(), jest.fn()];
    render(
      React.createElement(ActivityView, {
        ...{ tasks, attention, trans, onLog, onCancel }
      })
    );
    tasks.visible = true;
    await act(() => settle());
    const titles = () =>
      screen
        .getAllByRole('listitem')
        .map(
          item => item.textContent?.match(/^.*?(Running|Failed|Done|\?)/)?.[0]
        );
    expect(titles()).toEqual([
      'Deploy bRunning',
      'Deploy cFailed',
      'Deploy aDone'
    ]);
    expect(screen.getByText('No port is free.')).toBeTruthy();
    expect(
      screen.getByRole('progressbar', { name: 'Progress of Deploy b' })
    ).toBeTruthy();
    screen.getByRole('button', { name: 'Cancel Deploy b' }).click();
    expect(onCancel).toHaveBeenCalledWith('b');
    expect(
      screen.queryByRole('button', { name: 'Cancel Deploy a' })
    ).toBeNull();
    screen.getByRole('button', { name: 'Show the log of Deploy a' }).click();
    expect(onLog).toHaveBeenCalledWith('a');

    act(() =>
      attention.put('x', [
        { id: '1', tone: 'warning', text: 'Trust the key?', since: 1 }
      ])
    );
    expect(titles()[0]).toBe('Trust the key?');
    cleanup();
    tasks.dispose();
    model.dispose();
    bench.dispose();
  });
});
