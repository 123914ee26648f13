import type { TranslationBundle } from '@jupyterlab/translation';
import {
  ReactWidget,
  refreshIcon,
  settingsIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../core/ui/icon-button';

import type { ISectionAction } from './tokens';

/** The name of the panel and the buttons that stand for all of it. */
export class PanelHeader extends ReactWidget {
  constructor(options: PanelHeader.IOptions) {
    super();
    this._options = options;
    this.addClass('gol-Panel-header');
  }

  addAction(action: ISectionAction): void {
    this._actions = [...this._actions, action];
    this.update();
  }

  protected override render(): React.ReactElement {
    const { trans, onRefresh, onSettings } = this._options;
    return (
      <>
        <h2 className="gol-Panel-title">{trans.__('GenOps Lab')}</h2>
        {this._actions.map(action => (
          <IconButton
            key={action.id}
            icon={action.icon}
            label={action.label}
            onClick={action.execute}
          />
        ))}
        <IconButton
          icon={refreshIcon}
          label={trans.__('Refresh what is shown')}
          onClick={onRefresh}
        />
        {onSettings && (
          <IconButton
            icon={settingsIcon}
            label={trans.__('Open the settings of GenOps Lab')}
            onClick={onSettings}
          />
        )}
      </>
    );
  }

  private _options: PanelHeader.IOptions;
  private _actions: readonly ISectionAction[] = [];
}

export namespace PanelHeader {
  export interface IOptions {
    trans: TranslationBundle;
    onRefresh: () => void;
    onSettings?: () => void;
  }
}
