import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Resource } from '../../core';
import {
  ActionButton,
  Elapsed,
  FollowingView,
  IconButton,
  LogTail,
  ResourceView,
  StatusBadge
} from '../../core';

import type { ITaskLog } from '../model';
import { describeState } from '../model';

/** The log of one task in the main area, updated while visible. */
export class TaskLogView extends FollowingView<Resource<ITaskLog>> {
  constructor(private _options: TaskLogView.IOptions) {
    super(_options.log);
    this.addClass('gol-TaskLog');
  }

  protected override render(): React.ReactElement {
    const { log, trans, onCancel } = this._options;
    return (
      <ResourceView
        resource={log}
        trans={trans}
        down={trans.__('The log of this task cannot be read.')}
        keepMounted
        empty={null}
      >
        {({ task, lines }) => (
          <>
            <div className="gol-TaskLog-head">
              <h2>{task.title}</h2>
              <StatusBadge {...describeState(task.state, trans)} />
              <Elapsed since={task.created_at} until={task.finished_at} />
              <span className="gol-TaskLog-buttons">
                <IconButton
                  icon={refreshIcon}
                  label={trans.__('Reload the log')}
                  onClick={() => void log.refresh()}
                />
                {task.state === 'running' && (
                  <ActionButton
                    label={trans.__('Cancel the task')}
                    onClick={onCancel}
                  />
                )}
              </span>
            </div>
            {task.message && <p>{task.message}</p>}
            {task.hint && <p>{task.hint}</p>}
            <LogTail
              lines={lines}
              label={trans.__('Log of %1', task.title)}
              trans={trans}
            />
          </>
        )}
      </ResourceView>
    );
  }
}

export namespace TaskLogView {
  export interface IOptions {
    /** The view disposes this resource. */
    log: Resource<ITaskLog>;
    trans: TranslationBundle;
    onCancel: () => void;
  }
}
