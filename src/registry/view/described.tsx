import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { GenOpsApi } from '../../core';
import { ActionButton, Form } from '../../core';
import type { IDescribe, IDescribed } from '../describing';
import { describe, textNow } from '../describing';

import { Markdown } from './markdown';
import { useAction } from './use-action';

import '../../../style/registry/described.css';

/** What is edited: the description, a tag, or (with an empty key) a new tag. */
type Edited = { what: 'description' } | { what: 'tag'; key: string };

/** The description of a model or version as Markdown, and its tags; both are edited in place. */
export function Described(props: Described.IProps): React.ReactElement {
  const { described, full, rendermime, trans } = props;
  const { description, tags } = described;
  const [edited, setEdited] = React.useState<Edited | null>(null);
  const host = React.useRef<HTMLDivElement>(null);
  const close = () => {
    const opener = edited?.what === 'tag' ? `tag ${edited.key}` : 'description';
    // While this one was saved, the person may have begun to edit another.
    setEdited(now => (now === edited ? null : now));
    requestAnimationFrame(() => {
      const buttons = Array.from(
        host.current?.querySelectorAll('button') ?? []
      );
      if (!host.current?.querySelector('form')) {
        (
          buttons.find(({ dataset }) => dataset.opens === opener) ??
          buttons.pop()
        )?.focus();
      }
    });
  };
  const write = (change: Partial<IDescribe>) => async () => {
    await describe(props.api, described, change);
    await props.onSaved();
  };
  const isEdited = edited?.what === 'description';
  return (
    <div
      ref={host}
      className="gol-Described"
      role="group"
      aria-label={trans.__('Description and tags of %1', full)}
    >
      {isEdited ? (
        <DescriptionEditor
          text={description}
          label={trans.__('Description of %1, as Markdown', full)}
          write={write}
          onClose={close}
          trans={trans}
        />
      ) : (
        description && <Markdown text={description} rendermime={rendermime} />
      )}
      {edited?.what === 'tag' ? (
        <TagEditor
          name={edited.key}
          tags={tags}
          write={write}
          onClose={close}
          trans={trans}
        />
      ) : (
        <div className="gol-Described-line">
          {Object.entries(tags).map(([key, value]) => (
            <button
              key={key}
              type="button"
              className="gol-Chip gol-Described-tag"
              data-opens={`tag ${key}`}
              title={`${key}: ${value}`}
              aria-label={trans.__('Edit the tag %1: %2', key, value)}
              onClick={() => setEdited({ what: 'tag', key })}
            >
              <span className="gol-Chip-text">{`${key}: ${value}`}</span>
            </button>
          ))}
          {!isEdited && (
            <button
              type="button"
              className="gol-LinkButton"
              data-opens="description"
              aria-label={
                description
                  ? trans.__('Edit description of %1…', full)
                  : trans.__('Add description of %1…', full)
              }
              onClick={() => setEdited({ what: 'description' })}
            >
              {description
                ? trans.__('Edit description…')
                : trans.__('Add description…')}
            </button>
          )}
          <button
            type="button"
            className="gol-LinkButton"
            data-opens="tag "
            aria-label={trans.__('Add tag to %1…', full)}
            onClick={() => setEdited({ what: 'tag', key: '' })}
          >
            {trans.__('Add tag…')}
          </button>
        </div>
      )}
    </div>
  );
}

export namespace Described {
  export interface IProps {
    described: IDescribed;
    /** The model or version, such as "digits version 3". */
    full: string;
    api: GenOpsApi;
    rendermime: IRenderMimeRegistry;
    /** Read the model or version again. */
    onSaved: () => Promise<unknown>;
    trans: TranslationBundle;
  }
}

interface IEditorProps {
  write: (change: Partial<IDescribe>) => () => Promise<void>;
  onClose: () => void;
  trans: TranslationBundle;
}

function DescriptionEditor(
  props: IEditorProps & { text: string; label: string }
): React.ReactElement {
  const { label, write, onClose, trans } = props;
  const [text, setText] = React.useState(props.text);
  // The text that the person saw: a later one is not overwritten unseen.
  const seen = React.useRef(props.text);
  const { busy, failure, error, run } = useAction(trans);
  const now = textNow(failure);
  const save = () => {
    if (!busy) {
      const expected = now === undefined ? seen.current : (now ?? '');
      void run(write({ description: text.trim(), expected }), onClose);
    }
  };
  return (
    <Form
      className="gol-Described-editor"
      busy={busy}
      onSubmit={save}
      onKeyDown={event => onKey(event, save, onClose)}
    >
      <label>
        <span>{label}</span>
        <textarea
          ref={focusOnce}
          className="jp-mod-styled"
          rows={Math.min(16, Math.max(4, text.split('\n').length + 1))}
          value={text}
          onChange={event => setText(event.target.value)}
        />
      </label>
      {error}
      {now !== undefined && (
        <Now text={now || trans.__('No description')} trans={trans} />
      )}
      <Buttons
        busy={busy}
        replaces={now !== undefined}
        caption={trans.__('Save the description (Ctrl Enter)')}
        onSave={save}
        onClose={onClose}
        trans={trans}
      />
    </Form>
  );
}

function TagEditor(
  props: IEditorProps & {
    name: string;
    tags: Readonly<Record<string, string>>;
  }
): React.ReactElement {
  const { name, tags, write, onClose, trans } = props;
  const [key, setKey] = React.useState(name);
  const [value, setValue] = React.useState(tags[name] ?? '');
  const seen = React.useRef(tags);
  const { busy, failure, error, run } = useAction(trans);
  const now = textNow(failure);
  const change = (remove: boolean) => {
    const named = key.trim();
    if (busy || !named) {
      return;
    }
    const before = now === undefined ? (seen.current[named] ?? null) : now;
    const expected_tags = { [named]: before };
    void run(
      write(
        remove
          ? { untag: [named], expected_tags }
          : { tags: { [named]: value }, expected_tags }
      ),
      onClose
    );
  };
  const save = () => change(false);
  return (
    <Form
      className="gol-Described-editor"
      busy={busy}
      onSubmit={save}
      onKeyDown={event => onKey(event, save, onClose)}
    >
      <div className="gol-Described-tagFields">
        <label>
          <span>{trans.__('Tag')}</span>
          <input
            ref={name ? undefined : focusOnce}
            className="jp-mod-styled"
            value={key}
            readOnly={name !== ''}
            onChange={event => setKey(event.target.value)}
          />
        </label>
        <label>
          <span>{trans.__('Value')}</span>
          <input
            ref={name ? focusOnce : undefined}
            className="jp-mod-styled"
            value={value}
            onChange={event => setValue(event.target.value)}
          />
        </label>
      </div>
      {error}
      {now !== undefined && (
        <Now text={now ?? trans.__('No such tag')} trans={trans} />
      )}
      <Buttons
        busy={busy}
        replaces={now !== undefined}
        caption={trans.__('Save the tag (Enter)')}
        onSave={save}
        onClose={onClose}
        onRemove={name ? () => change(true) : undefined}
        trans={trans}
      />
    </Form>
  );
}

/** What somebody else wrote meanwhile. */
function Now(props: {
  text: string;
  trans: TranslationBundle;
}): React.ReactElement {
  return (
    <div className="gol-Described-now">
      <span>{props.trans.__('There now:')}</span>
      <pre tabIndex={0}>{props.text}</pre>
    </div>
  );
}

function Buttons(props: {
  busy: boolean;
  replaces: boolean;
  caption: string;
  onSave: () => void;
  onClose: () => void;
  onRemove?: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { busy, caption, onSave, onClose, onRemove, trans } = props;
  return (
    <div className="gol-Described-line">
      <ActionButton
        primary
        label={props.replaces ? trans.__('Replace') : trans.__('Save')}
        caption={
          props.replaces
            ? trans.__('Replace what is there now with your text')
            : caption
        }
        disabled={busy}
        onClick={onSave}
      />
      <ActionButton
        label={trans.__('Cancel')}
        caption={trans.__('Leave everything as it was (Escape)')}
        disabled={busy}
        onClick={onClose}
      />
      {onRemove && (
        <ActionButton
          label={trans.__('Remove tag')}
          disabled={busy}
          onClick={onRemove}
        />
      )}
    </div>
  );
}

/** Ctrl Enter saves (in a field of one line Enter), Escape leaves; neither reaches the page around. */
function onKey(
  event: React.KeyboardEvent,
  save: () => void,
  close: () => void
): void {
  const isLine = event.target instanceof HTMLInputElement;
  if (event.key === 'Enter' && (isLine || event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    event.stopPropagation();
    save();
  } else if (event.key === 'Escape') {
    event.preventDefault();
    event.stopPropagation();
    close();
  }
}

function focusOnce(node: HTMLElement | null): void {
  if (node && node.dataset.focused !== 'true') {
    node.dataset.focused = 'true';
    node.focus();
  }
}
