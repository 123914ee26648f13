import type { TranslationBundle } from '@jupyterlab/translation';
import {
  ReactWidget,
  caretDownIcon,
  caretUpIcon,
  closeIcon,
  errorIcon,
  infoIcon,
  notTrustedIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { useSignalled } from '../core/ui/hooks';
import { ActionButton, IconButton } from '../core/ui/icon-button';

import type { IAttention, IAttentionList } from './tokens';

const ICONS = { info: infoIcon, warning: notTrustedIcon, error: errorIcon };

/** Below the header: what needs a person, the newest first. It takes no space when nothing does. */
export class AttentionStrip extends ReactWidget {
  constructor(
    private _attention: IAttentionList,
    private _trans: TranslationBundle
  ) {
    super();
    this.addClass('gol-Strip');
    const sync = () => this.setHidden(_attention.items.length === 0);
    _attention.changed.connect(sync, this);
    sync();
  }

  protected override render(): React.ReactElement {
    return <Strip attention={this._attention} trans={this._trans} />;
  }
}

/** The newest item; the others below it, once they are asked for. */
function Strip(props: {
  attention: IAttentionList;
  trans: TranslationBundle;
}): React.ReactElement {
  const { attention, trans } = props;
  const items = useSignalled(attention.changed, () => attention.items);
  const [open, setOpen] = React.useState(false);
  const id = React.useId();
  const more = items.length - 1;
  return (
    <section aria-label={trans.__('Needs attention')}>
      <div id={id} role="status">
        <AttentionItems
          items={open ? items : items.slice(0, 1)}
          trans={trans}
        />
      </div>
      {more > 0 && (
        <button
          type="button"
          className="gol-Strip-more"
          aria-expanded={open}
          aria-controls={id}
          onClick={() => setOpen(!open)}
        >
          {open ? (
            <caretUpIcon.react tag="span" className="gol-Icon" />
          ) : (
            <caretDownIcon.react tag="span" className="gol-Icon" />
          )}
          {open
            ? trans.__('Show the newest only')
            : trans._n('%1 more', '%1 more', more)}
        </button>
      )}
    </section>
  );
}

/** Rows of what needs a person, each with its buttons. */
export function AttentionItems(props: {
  items: readonly IAttention[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { items, trans } = props;
  return (
    <ul className="gol-Attention" aria-label={trans.__('Needs attention')}>
      {items.map(({ id, tone, text, action, dismiss }) => {
        const Icon = ICONS[tone];
        return (
          <li key={id} className={`gol-Attention-item gol-mod-${tone}`}>
            <Icon.react tag="span" className="gol-Icon" />
            <span className="gol-Attention-text">{text}</span>
            {action && (
              <ActionButton
                label={action.label}
                caption={action.caption}
                onClick={action.execute}
              />
            )}
            {dismiss && (
              <IconButton
                icon={closeIcon}
                label={trans.__('Dismiss: %1', text)}
                onClick={dismiss}
              />
            )}
          </li>
        );
      })}
    </ul>
  );
}
