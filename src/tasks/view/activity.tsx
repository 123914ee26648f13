import type { TranslationBundle } from '@jupyterlab/translation';
import { listIcon, stopIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Resource } from '../../core';
import {
  Elapsed,
  EmptyState,
  IconButton,
  RelativeTime,
  ResourceView,
  StatusBadge,
  useSignalled
} from '../../core';
import { AttentionItems } from '../../panel/strip';
import type { IAttentionList } from '../../panel/tokens';

import { describeState, isRunning } from '../model';
import type { ITask } from '../service';

/** How many tasks that have ended are shown. */
const MOST_ENDED = 10;

/** What needs a person, what the server works at, and how the latest work ended. */
export function ActivityView(props: ActivityView.IProps): React.ReactElement {
  const { tasks, attention, trans } = props;
  const waiting = useSignalled(attention.changed, () => attention.items);
  return (
    <div className="gol-Activity">
      {waiting.length > 0 && <AttentionItems items={waiting} trans={trans} />}
      <ResourceView
        resource={tasks}
        trans={trans}
        down={trans.__('The work in progress cannot be read.')}
        keepMounted
        empty={
          waiting.length === 0 && (
            <EmptyState
              text={trans.__(
                'Nothing runs in the background. Deployments, downloads, builds of environments and other long work show their progress and log here.'
              )}
            />
          )
        }
      >
        {found => {
          const ended = found.filter(task => !isRunning(task));
          const shown = [
            ...found.filter(isRunning),
            ...ended.slice(0, MOST_ENDED)
          ];
          return (
            <ul className="gol-Tasks" aria-label={trans.__('Work')}>
              {shown.map(task => (
                <li key={task.id} className="gol-Task">
                  <TaskRow {...props} task={task} />
                </li>
              ))}
            </ul>
          );
        }}
      </ResourceView>
    </div>
  );
}

export namespace ActivityView {
  export interface IProps {
    tasks: Resource<ITask[]>;
    attention: IAttentionList;
    trans: TranslationBundle;
    onLog: (id: string) => void;
    onCancel: (id: string) => void;
  }
}

function TaskRow(
  props: ActivityView.IProps & { task: ITask }
): React.ReactElement {
  const { task, trans } = props;
  const running = isRunning(task);
  const { tone, label } = describeState(task.state, trans);
  const detail = task.message !== task.title ? task.message : '';
  return (
    <>
      <div className="gol-Task-head">
        <span className="gol-Task-title" title={task.title}>
          {task.title}
        </span>
        <IconButton
          icon={listIcon}
          label={trans.__('Show the log of %1', task.title)}
          onClick={() => props.onLog(task.id)}
        />
        {running && (
          <IconButton
            icon={stopIcon}
            label={trans.__('Cancel %1', task.title)}
            onClick={() => props.onCancel(task.id)}
          />
        )}
      </div>
      <div className="gol-Task-line">
        <StatusBadge tone={tone} label={label} />
        {running ? (
          <Elapsed since={task.created_at} until={null} />
        ) : (
          <RelativeTime
            seconds={task.finished_at ?? task.created_at}
            trans={trans}
          />
        )}
        {running && task.progress !== null && (
          <progress
            aria-label={trans.__('Progress of %1', task.title)}
            max={1}
            value={task.progress}
          />
        )}
      </div>
      {detail && (
        <p className="gol-Note gol-Task-detail" title={detail}>
          {detail}
        </p>
      )}
    </>
  );
}
