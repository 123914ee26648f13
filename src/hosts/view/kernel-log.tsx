import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Resource } from '../../core';
import { FollowingView, IconButton, LogTail, ResourceView } from '../../core';

/**
 * The output of a kernel's process outside of its cells, in the main area; read
 * when shown and on request.
 */
export class KernelLogView extends FollowingView<Resource<string>> {
  constructor(private _options: KernelLogView.IOptions) {
    super(_options.log);
    this.addClass('gol-TaskLog');
  }

  protected override render(): React.ReactElement {
    const { log, title, trans } = this._options;
    return (
      <>
        <div className="gol-TaskLog-head">
          <h2>{title}</h2>
          <span className="gol-TaskLog-buttons">
            <IconButton
              icon={refreshIcon}
              label={trans.__('Read the log again')}
              onClick={() => void log.refresh()}
            />
          </span>
        </div>
        <ResourceView
          resource={log}
          trans={trans}
          down={trans.__('The log of this kernel cannot be read.')}
          keepMounted
          empty={null}
        >
          {text => (
            <LogTail
              lines={text ? text.replace(/\n$/, '').split('\n') : []}
              label={title}
              trans={trans}
            />
          )}
        </ResourceView>
      </>
    );
  }
}

export namespace KernelLogView {
  export interface IOptions {
    /** Disposed with the view. */
    log: Resource<string>;
    title: string;
    trans: TranslationBundle;
  }
}
