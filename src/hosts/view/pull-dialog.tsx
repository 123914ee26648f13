import type { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { Callout, DataTable, Form, FormError, formatBytes } from '../../core';

import type { FolderPull } from '../folder';
import type { QuestionsModel } from '../questions';
import type { IFolderFile, IFolderResult } from '../service';
import { onOneLine } from '../messages';

import {
  DialogButton,
  DialogButtons,
  ModelDialog
} from '../../core/ui/model-dialog';
import { QuestionForm } from './question-form';

/**
 * Show the files that would be pulled from a target, and pull them. Resolves
 * when the dialog is closed.
 */
export async function openPullDialog(options: {
  /** Disposed with the dialog. */
  pull: FolderPull;
  questions: QuestionsModel;
  trans: TranslationBundle;
}): Promise<void> {
  const { pull, questions, trans } = options;
  const changed = new Signal<FolderPull, void>(pull);
  const tell = () => changed.emit();
  pull.changed.connect(tell, tell);
  questions.changed.connect(tell, tell);
  // The login may ask something during the connection.
  const hosted = questions.host();
  const close = () => {
    void pull.cancel();
    dialog.finish();
  };
  const dialog = new ModelDialog({
    title: trans.__('Pull files from %1', pull.target),
    changed,
    render: () => <PullView {...options} onClose={close} />,
    onLeave: close,
    focus: '.jp-mod-reject'
  });
  await dialog.launch().finally(() => {
    pull.changed.disconnect(tell, tell);
    questions.changed.disconnect(tell, tell);
    hosted.dispose();
    pull.dispose();
  });
}

/**
 * The files to pull, the files that changed on both sides, and then the result.
 */
export function PullView(props: {
  pull: FolderPull;
  questions: QuestionsModel;
  trans: TranslationBundle;
  onClose: () => void;
}): React.ReactElement {
  const { pull, questions, trans } = props;
  const { folder, result, state } = pull;
  const keeps = React.useId();
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
  const busy = state === 'looking' || state === 'bringing';
  return (
    <Form
      className="gol-Form gol-Pull"
      busy={busy}
      onSubmit={() => {
        void pull.bring();
      }}
    >
      <div role="status">
        {state === 'looking' && (
          <p className="gol-Note">
            {trans.__('Comparing this machine and the target…')}
          </p>
        )}
        {state === 'bringing' && (
          <p className="gol-Note">{trans.__('Pulling the files…')}</p>
        )}
        {result && <Result result={result} trans={trans} />}
      </div>
      {folder && !result && (
        <>
          <p className="gol-Note">
            {folder.to_bring_count > 0
              ? trans._n(
                  '%1 new or changed file (%2) can be pulled into %3.',
                  '%1 new or changed files (%2) can be pulled into %3.',
                  folder.to_bring_count,
                  formatBytes(folder.to_bring_bytes),
                  folder.here
                )
              : trans.__(
                  'No new or changed files can be pulled without conflicts.'
                )}
          </p>
          <Files
            files={folder.to_bring}
            count={folder.to_bring_count}
            caption={trans.__('Files to pull')}
            trans={trans}
          />
          {folder.conflicts.length > 0 && (
            <>
              <Callout
                tone="warning"
                title={trans._n(
                  '%1 file was changed on both sides.',
                  '%1 files were changed on both sides.',
                  folder.conflicts.length
                )}
              >
                {trans.__(
                  'They stay as they are unless you tick the box below.'
                )}
              </Callout>
              <Files
                files={folder.conflicts}
                count={folder.conflicts.length}
                caption={trans.__('Files changed on both sides')}
                trans={trans}
              />
              <label className="gol-Pull-replace" htmlFor={keeps}>
                <input
                  id={keeps}
                  type="checkbox"
                  checked={pull.replace}
                  disabled={busy}
                  onChange={event => {
                    pull.replace = event.target.checked;
                  }}
                />
                {trans.__('Pull these too, and keep a copy of my versions')}
              </label>
            </>
          )}
        </>
      )}
      <FormError error={pull.error} />
      <DialogButtons>
        <DialogButton
          kind="cancel"
          label={
            state === 'done' || state === 'failed'
              ? trans.__('Close')
              : trans.__('Cancel')
          }
          onClick={props.onClose}
        />
        {state !== 'done' && state !== 'failed' && (
          <DialogButton
            kind="accept"
            label={trans.__('Pull')}
            disabled={state !== 'ready' || pull.count === 0}
          />
        )}
      </DialogButtons>
    </Form>
  );
}

function Files(props: {
  files: readonly IFolderFile[];
  count: number;
  caption: string;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { files, count, caption, trans } = props;
  if (files.length === 0) {
    return null;
  }
  const shown = files.slice(0, SHOWN);
  return (
    <div
      className="gol-Pull-files"
      tabIndex={0}
      role="group"
      aria-label={caption}
    >
      <DataTable
        caption={caption}
        rows={shown}
        rowKey={({ path }) => path}
        columns={[
          {
            id: 'path',
            title: trans.__('File'),
            cell: ({ path }) => <code>{onOneLine(path)}</code>
          },
          {
            id: 'change',
            title: trans.__('Change'),
            cell: ({ change }) =>
              change === 'new'
                ? trans.__('new')
                : change === 'conflict'
                  ? trans.__('changed on both sides')
                  : trans.__('changed')
          },
          {
            id: 'size',
            title: trans.__('Size'),
            numeric: true,
            cell: ({ size }) => formatBytes(size)
          }
        ]}
      />
      {count > shown.length && (
        <p className="gol-Note">
          {trans.__('and %1 more', count - shown.length)}
        </p>
      )}
    </div>
  );
}

function Result(props: {
  result: IFolderResult;
  trans: TranslationBundle;
}): React.ReactElement {
  const { result, trans } = props;
  const kept = result.done.filter(each => each.kept);
  const lines = [
    ...result.failed.map(({ path, why }) => `${onOneLine(path)}: ${why}`),
    ...kept.map(({ path, kept: name }) =>
      trans.__('Your version of %1 is now %2', onOneLine(path), onOneLine(name))
    )
  ];
  return (
    <Callout
      tone={result.failed.length > 0 ? 'warning' : 'ok'}
      title={result.message}
    >
      {lines.length > 0 && (
        <ul>
          {lines.slice(0, SHOWN).map(line => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
    </Callout>
  );
}

/** At most this many files are named. */
const SHOWN = 200;
