import type { LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { Resource } from '../resource';

import { FollowingView } from './main-area';

import '../../../style/core/page.css';

/** A page in the main area that one resource fills. It takes the focus when it opens. */
export class ResourcePage<T> extends FollowingView<Resource<T>> {
  constructor(
    resource: Resource<T>,
    private _options: {
      title: string;
      icon: LabIcon;
      /** The title of the tab once the value is known. */
      titleOf?: (value: T) => string;
      render: () => React.ReactElement;
    }
  ) {
    super(resource);
    const { title, icon, titleOf } = _options;
    this.addClass('gol-Page');
    this.node.tabIndex = -1;
    this.title.label = title;
    this.title.icon = icon;
    resource.changed.connect((_, { value }) => {
      if (titleOf && value !== undefined) {
        this.title.label = titleOf(value);
      }
    });
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (!this.node.contains(document.activeElement)) {
      this.node.focus({ preventScroll: true });
    }
  }

  protected override render(): React.ReactElement {
    return this._options.render();
  }
}

/** The heading of a page: its name, a state, and buttons at the end. */
export function PageHead(props: {
  title: string;
  children?: React.ReactNode;
  actions?: React.ReactNode;
}): React.ReactElement {
  return (
    <header className="gol-Page-head">
      <h2>{props.title}</h2>
      {props.children}
      <span className="gol-Page-actions">{props.actions}</span>
    </header>
  );
}
