import type { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import {
  Callout,
  DataTable,
  Form,
  FormError,
  formatAge,
  formatBytes
} from '../../core';

import type { QuestionsModel } from '../questions';
import type { IStoredItem } from '../service';
import type { TargetStorage } from '../storage';
import { isRemovable, keyOf } from '../storage';
import { onOneLine } from '../messages';

import {
  DialogButton,
  DialogButtons,
  ModelDialog
} from '../../core/ui/model-dialog';
import { QuestionForm } from './question-form';

/**
 * Show the files of GenOps Lab on a target's host, and remove those that the
 * user ticks. Resolves when the dialog is closed.
 */
export async function openStorageDialog(options: {
  /** Disposed with the dialog. */
  storage: TargetStorage;
  questions: QuestionsModel;
  trans: TranslationBundle;
}): Promise<void> {
  const { storage, questions, trans } = options;
  const changed = new Signal<TargetStorage, void>(storage);
  const tell = () => changed.emit();
  storage.changed.connect(tell, tell);
  questions.changed.connect(tell, tell);
  // The login may ask something during the connection.
  const hosted = questions.host();
  const close = () => dialog.finish();
  const dialog = new ModelDialog({
    title: trans.__('Files of GenOps Lab on %1', storage.target),
    changed,
    render: () => <StorageView {...options} onClose={close} />,
    onLeave: close,
    focus: '.jp-mod-reject'
  });
  await dialog.launch().finally(() => {
    storage.changed.disconnect(tell, tell);
    questions.changed.disconnect(tell, tell);
    hosted.dispose();
    storage.dispose();
  });
}

/** The items with size and users, and then the freed space. */
export function StorageView(props: {
  storage: TargetStorage;
  questions: QuestionsModel;
  trans: TranslationBundle;
  onClose: () => void;
}): React.ReactElement {
  const { storage, questions, trans } = props;
  const { chosen, items, state, isAway } = storage;
  const forced = chosen.filter(({ stays }) => stays !== '');
  // A second dialog would wait for the end of this one, so the question is
  // shown in this one.
  const asked = forced.map(keyOf).join('\n');
  const [sure, setSure] = React.useState('');
  const asks = asked !== '' && sure === asked && state === 'ready';
  if (questions.current) {
    return (
      <QuestionForm
        question={questions.current}
        model={questions}
        trans={trans}
        within
      />
    );
  }
  return (
    <Form
      className="gol-Form gol-Stored"
      busy={state !== 'ready' && state !== 'failed'}
      onSubmit={() => {
        if (asked === '' || asks) {
          setSure('');
          void storage.remove();
        } else {
          setSure(asked);
        }
      }}
    >
      <p className="gol-Note">
        {trans.__(
          'Environments built on the host, and copies of notebooks’ folders. Items in use by a kernel or another process stay.'
        )}
      </p>
      <div role="status">
        {state === 'connecting' && (
          <p className="gol-Note">
            {trans.__('Connecting to %1…', storage.target)}
          </p>
        )}
        {state === 'looking' && (
          <p className="gol-Note">{trans.__('Measuring the files…')}</p>
        )}
        {state === 'removing' && (
          <p className="gol-Note">
            {trans._n(
              'Removing; %1 item remains…',
              'Removing; %1 items remain…',
              chosen.length
            )}
          </p>
        )}
        <Freed storage={storage} trans={trans} />
      </div>
      {items && <Items {...props} items={items} />}
      <div role="alert">
        {asks && (
          <Callout
            tone="warning"
            title={trans.__('Remove results that may have no other copy?')}
          >
            <ul>
              {forced.map(item => (
                <li key={keyOf(item)}>
                  {onOneLine(keyOf(item))}: {onOneLine(item.stays)}
                </li>
              ))}
            </ul>
          </Callout>
        )}
      </div>
      <FormError error={storage.error} />
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={trans.__('Close')}
          onClick={props.onClose}
        />
        {state === 'failed' && (
          <DialogButton
            kind={isAway ? 'cancel' : 'accept'}
            label={trans.__('Refresh')}
            onClick={() => void storage.look()}
          />
        )}
        {isAway && (
          <DialogButton
            kind="accept"
            label={trans.__('Connect')}
            caption={trans.__('Connect now; the host may ask for a password')}
            onClick={() => void storage.connect()}
          />
        )}
        {items && items.length > 0 && (
          <DialogButton
            kind="warn"
            label={
              asks
                ? trans.__('Remove anyway')
                : chosen.length === 0
                  ? trans.__('Remove')
                  : trans._n(
                      'Remove %1 (%2)',
                      'Remove %1 (%2)',
                      chosen.length,
                      formatBytes(storage.chosenBytes)
                    )
            }
            caption={trans.__('Delete the ticked items from the host')}
            disabled={state !== 'ready' || chosen.length === 0}
          />
        )}
      </DialogButtons>
    </Form>
  );
}

function Items(props: {
  storage: TargetStorage;
  items: readonly IStoredItem[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { storage, items, trans } = props;
  if (items.length === 0) {
    return <p>{trans.__('GenOps Lab has no files on this host.')}</p>;
  }
  return (
    <div className="gol-Stored-items">
      <DataTable
        caption={trans.__('Files on %1', storage.target)}
        rows={items}
        rowKey={keyOf}
        columns={[
          {
            id: 'what',
            title: trans.__('Item'),
            cell: item => (
              <label className="gol-Tick">
                <input
                  type="checkbox"
                  checked={storage.isTicked(item)}
                  disabled={storage.state !== 'ready' || !isRemovable(item)}
                  onChange={event => storage.tick(item, event.target.checked)}
                />
                <span>
                  {item.kind === 'environment'
                    ? trans.__('Environment')
                    : trans.__('Copy of a folder')}
                  <code>{onOneLine(keyOf(item))}</code>
                </span>
              </label>
            )
          },
          {
            id: 'size',
            title: trans.__('Size'),
            numeric: true,
            cell: ({ size_bytes }) =>
              size_bytes === null ? '' : formatBytes(size_bytes ?? 0)
          },
          {
            id: 'unused',
            title: trans.__('Last used'),
            numeric: true,
            cell: ({ unused_s }) =>
              unused_s === null ? '' : lastUsed(unused_s ?? 0, trans)
          },
          {
            id: 'why',
            title: trans.__('Note'),
            cell: ({ stays }) =>
              stays ? onOneLine(stays) : trans.__('not in use')
          }
        ]}
      />
    </div>
  );
}

function Freed(props: {
  storage: TargetStorage;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { storage, trans } = props;
  const { freed, troubles, state } = storage;
  if (freed === undefined || state === 'removing') {
    return null;
  }
  return (
    <Callout
      tone={troubles.length > 0 ? 'warning' : 'ok'}
      title={
        freed === 0
          ? trans.__('No space was freed.')
          : trans.__('%1 freed.', formatBytes(freed))
      }
    >
      {troubles.length > 0 && (
        <ul>
          {troubles.map(each => (
            <li key={each}>{onOneLine(each)}</li>
          ))}
        </ul>
      )}
    </Callout>
  );
}

/** When an item was last used, such as `2 h ago`. */
function lastUsed(seconds: number, trans: TranslationBundle): string {
  const now = Date.now() / 1000;
  return formatAge(now - seconds, now, trans);
}
