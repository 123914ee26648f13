import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { editIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Message } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  FollowingView,
  IconButton,
  ResourceView,
  StatusBadge,
  modelIcon
} from '../../core';
import type { Pages } from '../../core/pages';
import type { ICard, ICardSection } from '../card';
import { CardModel, METADATA, bodyOf } from '../card';
import { chooseVersion } from '../choosing';
import type { ICommandsOptions } from '../commands';

import { Markdown } from './markdown';
import { useAction } from './use-action';

import '../../../style/registry/card.css';

/** Open the model card of a version in the main area; ask for the version that the arguments do not name. */
export async function openCard(
  pages: Pages<Widget>,
  { core, model, rendermime }: ICommandsOptions,
  args: ReadonlyPartialJSONObject
): Promise<void> {
  const chosen = await chooseVersion(model, args, core.trans);
  if (!chosen) {
    return;
  }
  const { name, version } = chosen;
  const { trans } = core;
  const make = () => {
    const card = new CardModel(core, name, version);
    const view = new CardView(card, rendermime, trans);
    view.title.label = trans.__('Card of %1 version %2', name, version);
    view.title.icon = modelIcon;
    return Promise.resolve(view);
  };
  const id = `genops-model-card-${name}-${version}`;
  await pages.open(id, make, { model: name, version }, true);
}

/** The card of a version, updated while visible. */
export class CardView extends FollowingView<CardModel> {
  constructor(
    model: CardModel,
    private _rendermime: IRenderMimeRegistry,
    private _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('gol-Card');
    this.node.tabIndex = -1;
  }

  protected override onActivateRequest(msg: Message): void {
    this.node.focus();
    super.onActivateRequest(msg);
  }

  protected override render(): React.ReactElement {
    return (
      <CardPage
        model={this.model}
        rendermime={this._rendermime}
        trans={this._trans}
      />
    );
  }
}

interface IProps {
  model: CardModel;
  rendermime: IRenderMimeRegistry;
  trans: TranslationBundle;
}

/** The card in each of its states. */
export function CardPage(props: IProps): React.ReactElement {
  const { model, trans } = props;
  return (
    <div className="gol-Card-body">
      <ResourceView
        resource={model.card}
        trans={trans}
        down={trans.__('The card cannot be read.')}
        keepMounted
        empty={null}
      >
        {card => <Sections {...props} card={card} />}
      </ResourceView>
    </div>
  );
}

function Sections(props: IProps & { card: ICard }): React.ReactElement {
  const { model, card, trans } = props;
  const [edited, setEdited] = React.useState<string | null>(null);
  const metadata: ICardSection = {
    id: METADATA,
    title: trans.__('Metadata'),
    text: card.metadata,
    written: false
  };
  const sections = [...card.sections, metadata];
  return (
    <>
      <div className="gol-Card-head">
        <h2>
          {trans.__('Model card of %1 version %2', card.name, card.version)}
        </h2>
        {card.kept ? (
          <StatusBadge
            tone="ok"
            label={trans.__('Kept')}
            caption={trans.__(
              'The card lies beside the files of the version. Text of people stays; the rest is made anew.'
            )}
          />
        ) : (
          <KeepButton model={model} card={card} trans={trans} />
        )}
      </div>
      <Missing card={card} trans={trans} onWrite={setEdited} />
      {sections.map(section => (
        <Section
          key={section.id}
          {...props}
          section={section}
          editing={edited === section.id}
          onEdit={setEdited}
        />
      ))}
    </>
  );
}

/** Keep a card that nobody kept yet. */
function KeepButton(props: {
  model: CardModel;
  card: ICard;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, card, trans } = props;
  const { busy, error, run } = useAction(trans);
  return (
    <>
      <ActionButton
        label={trans.__('Keep card')}
        caption={trans.__(
          'Write the card beside the files of the version, where others find it'
        )}
        disabled={busy}
        onClick={() => void run(() => model.keep(card.digest))}
      />
      {error}
    </>
  );
}

/** What nobody has written, each with a button that opens its section. */
function Missing(props: {
  card: ICard;
  trans: TranslationBundle;
  onWrite: (section: string) => void;
}): React.ReactElement | null {
  const { card, trans, onWrite } = props;
  const { missing } = card;
  if (missing.length === 0) {
    return null;
  }
  return (
    <Callout
      tone="warning"
      title={trans._n(
        'Missing: %1 part of the card',
        'Missing: %1 parts of the card',
        missing.length
      )}
    >
      <ul className="gol-Card-missing">
        {missing.map(({ section, what }) => (
          <li key={`${section} ${what}`}>
            <button
              type="button"
              className="gol-LinkButton"
              title={trans.__('Write: %1', what)}
              onClick={() =>
                onWrite(
                  what === 'license' || what === 'language' ? METADATA : section
                )
              }
            >
              {what}
            </button>
          </li>
        ))}
      </ul>
    </Callout>
  );
}

function Section(
  props: IProps & {
    card: ICard;
    section: ICardSection;
    editing: boolean;
    onEdit: (section: string | null) => void;
  }
): React.ReactElement {
  const { section, editing, onEdit, rendermime, trans } = props;
  const id = React.useId();
  const button = React.useRef<HTMLSpanElement>(null);
  const title =
    section.id === 'title'
      ? trans.__('Description')
      : section.title || trans.__('Notes');
  const close = () => {
    onEdit(null);
    requestAnimationFrame(() =>
      button.current?.querySelector('button')?.focus()
    );
  };
  return (
    <section aria-labelledby={id} className="gol-Card-section">
      <div className="gol-Card-sectionHead">
        <h3 id={id}>
          {section.id === 'title'
            ? trans.__('Description')
            : section.title || trans.__('Notes')}
        </h3>
        {section.written && (
          <StatusBadge
            tone="idle"
            label={trans.__('Written by a person')}
            caption={trans.__(
              'This section stays as it is when the card is made anew'
            )}
          />
        )}
        <span ref={button}>
          {!editing && (
            <IconButton
              icon={editIcon}
              label={trans.__('Edit %1', title)}
              onClick={() => onEdit(section.id)}
            />
          )}
        </span>
      </div>
      {editing ? (
        <Editor {...props} onClose={close} />
      ) : section.id === METADATA ? (
        <pre className="gol-Card-metadata" tabIndex={0}>
          {section.text}
        </pre>
      ) : (
        <Markdown text={bodyOf(section)} rendermime={rendermime} />
      )}
    </section>
  );
}

/** The box in which a person writes a section. */
function Editor(props: {
  model: CardModel;
  card: ICard;
  section: ICardSection;
  trans: TranslationBundle;
  onClose: () => void;
}): React.ReactElement {
  const { model, section, trans, onClose } = props;
  const isMetadata = section.id === METADATA;
  const [text, setText] = React.useState(
    isMetadata ? section.text : bodyOf(section)
  );
  // The card that the person sees while writing: a later one is not overwritten.
  const [expected] = React.useState(props.card.digest);
  const { busy, error, run } = useAction(trans);
  const area = React.useRef<HTMLTextAreaElement>(null);
  React.useEffect(() => {
    area.current?.focus();
    area.current?.closest('section')?.scrollIntoView?.({ block: 'nearest' });
  }, []);
  const save = (written: string) =>
    void run(() => model.write(section.id, written, expected), onClose);
  return (
    <div
      className="gol-Card-editor"
      onKeyDown={event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          event.stopPropagation();
          save(text);
        } else if (event.key === 'Escape') {
          event.stopPropagation();
          onClose();
        }
      }}
    >
      <label>
        <span>
          {isMetadata
            ? trans.__('Metadata of Hugging Face, as YAML')
            : trans.__('Text of the section, as Markdown')}
        </span>
        <textarea
          ref={area}
          className="jp-mod-styled"
          rows={Math.min(24, Math.max(6, text.split('\n').length + 1))}
          value={text}
          spellCheck={!isMetadata}
          onChange={event => setText(event.target.value)}
        />
      </label>
      {error}
      <div className="gol-Card-actions">
        <ActionButton
          primary
          label={trans.__('Save')}
          caption={trans.__('Keep the card with this text (Ctrl Enter)')}
          disabled={busy || !text.trim()}
          onClick={() => save(text)}
        />
        <ActionButton
          label={trans.__('Cancel')}
          caption={trans.__('Leave the section as it was (Escape)')}
          disabled={busy}
          onClick={onClose}
        />
        {section.written && (
          <ActionButton
            label={trans.__('Make anew')}
            caption={trans.__(
              'Replace your text with what GenOps Lab knows about the version'
            )}
            disabled={busy}
            onClick={() => save('')}
          />
        )}
      </div>
    </div>
  );
}
