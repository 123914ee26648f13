import { closeIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  Disclosure,
  Field,
  Form,
  IconButton
} from '../../core';

import type { IDraft } from './draft';
import { newTurn, problemsOf, variablesOf } from './draft';
import type { PromptsModel } from './model';

const ROLES = ['system', 'user', 'assistant'];
const MOST_ROWS = 18;

/** The turns of a prompt with its settings, and the button that saves them as the next version. */
export function PromptEditor(props: {
  model: PromptsModel;
  draft: IDraft;
  onCompare: (version: string) => void;
}): React.ReactElement {
  const { model, draft, onCompare } = props;
  const { trans, name } = model;
  const { busy, said, error } = model.saving;
  const problems = problemsOf(draft, !name, trans);
  const edited = model.isEdited(name);
  const variables = variablesOf(draft.turns);
  const newest = model.versions.value?.[0]?.version ?? '';
  const next = Number(newest || 0) + 1;
  const form = React.useRef<HTMLFormElement>(null);
  React.useEffect(() => {
    // The button that saved is disabled now, or gone.
    const active = document.activeElement;
    if (said && (active === document.body || active?.matches(':disabled'))) {
      form.current?.querySelector('textarea')?.focus();
    }
  }, [said]);
  const hasProblem = Object.keys(problems).length > 0;
  return (
    <Form
      ref={form}
      className="gol-Prompt-editor"
      busy={busy}
      aria-label={trans.__('Text of the prompt')}
      onSubmit={() => void model.save()}
      onKeyDown={event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          event.stopPropagation();
          if (edited && !hasProblem) {
            void model.save();
          }
        }
      }}
    >
      {!name && (
        <Field
          label={trans.__('Name')}
          error={draft.name ? problems.name : ''}
          help={trans.__('Programs load the prompt by this name.')}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={draft.name}
              autoComplete="off"
              spellCheck={false}
              onChange={event => model.edit({ name: event.target.value })}
            />
          )}
        </Field>
      )}
      <Turns model={model} draft={draft} />
      {problems.turns && edited && (
        <p className="gol-Field-error" role="alert">
          {problems.turns}
        </p>
      )}
      <p className="gol-Note">
        {variables.length === 0
          ? trans.__(
              'No variables. Write {{name}} where a row shall give a value.'
            )
          : trans.__('Variables: %1', variables.join(', '))}
      </p>
      <Disclosure
        title={trans.__('Settings, tools and output schema')}
        meta={summary(draft, trans)}
      >
        <JsonField
          {...props}
          field="settings"
          label={trans.__('Settings of a call')}
          help={trans.__('JSON, such as {"temperature": 0, "max_tokens": 200}')}
          problem={problems.settings}
        />
        <JsonField
          {...props}
          field="tools"
          label={trans.__('Tools')}
          help={trans.__(
            'A JSON list of functions, as OpenAI’s API takes them'
          )}
          problem={problems.tools}
        />
        <JsonField
          {...props}
          field="schema"
          label={trans.__('Output schema')}
          help={trans.__('The JSON Schema of an answer')}
          problem={problems.schema}
        />
      </Disclosure>
      <div className="gol-Prompt-save">
        <Field label={trans.__('Message (optional)')}>
          {control => (
            <input
              {...control}
              type="text"
              value={draft.message}
              autoComplete="off"
              onChange={event => model.edit({ message: event.target.value })}
            />
          )}
        </Field>
        <ActionButton
          primary
          label={trans.__('Save as version %1', next)}
          caption={trans.__('Save this text as a new version (Ctrl+Enter)')}
          disabled={!edited || hasProblem}
          busy={busy}
          onClick={() => void model.save()}
        />
        {edited && (
          <ActionButton
            label={trans.__('Discard changes')}
            onClick={() => model.discard()}
          />
        )}
      </div>
      <p className="gol-Prompt-said" role="status">
        {said}
      </p>
      {error && (
        <div role="alert">
          <Callout tone="error" title={error.message}>
            <>
              <p>{error.hint}</p>
              {error.code === 'prompt_changed' && (
                <div className="gol-Actions">
                  <ActionButton
                    label={trans.__('Show what they changed')}
                    onClick={() => onCompare(draft.newest)}
                  />
                  <ActionButton
                    label={trans.__('Save mine as version %1', next)}
                    onClick={() => void model.save(true)}
                  />
                </div>
              )}
            </>
          </Callout>
        </div>
      )}
    </Form>
  );
}

function Turns(props: {
  model: PromptsModel;
  draft: IDraft;
}): React.ReactElement {
  const { model, draft } = props;
  const { trans } = model;
  const { turns, kind } = draft;
  const put = (place: number, part: Partial<(typeof turns)[number]>) =>
    model.edit({
      turns: turns.map((turn, at) =>
        at === place ? { ...turn, ...part } : turn
      )
    });
  if (kind === 'text') {
    return (
      <>
        <TurnText
          label={trans.__('Text')}
          value={turns[0]?.content ?? ''}
          onChange={content => put(0, { content })}
        />
        <div className="gol-Actions">
          <ActionButton
            label={trans.__('Make it a chat')}
            caption={trans.__('The text becomes the first turn of the user')}
            onClick={() => model.edit({ kind: 'chat' })}
          />
        </div>
      </>
    );
  }
  return (
    <>
      <ol className="gol-Prompt-turns" aria-label={trans.__('Turns')}>
        {turns.map((turn, place) => (
          <li key={place}>
            <div className="gol-Prompt-turn-head">
              <select
                className="jp-mod-styled"
                aria-label={trans.__('Role of turn %1', place + 1)}
                value={turn.role}
                onChange={event => put(place, { role: event.target.value })}
              >
                {[...new Set([...ROLES, turn.role])].map(role => (
                  <option key={role}>{role}</option>
                ))}
              </select>
              {turns.length > 1 && (
                <IconButton
                  icon={closeIcon}
                  label={trans.__('Remove turn %1', place + 1)}
                  onClick={() =>
                    model.edit({ turns: turns.filter((_, at) => at !== place) })
                  }
                />
              )}
            </div>
            {turn.parts.length > 0 ? (
              <pre className="gol-Prompt-parts">
                {JSON.stringify(turn.parts, null, 2)}
              </pre>
            ) : (
              <TurnText
                label={trans.__('Text of turn %1', place + 1)}
                hideLabel
                value={turn.content}
                onChange={content => put(place, { content })}
              />
            )}
          </li>
        ))}
      </ol>
      <div className="gol-Actions">
        <ActionButton
          label={trans.__('Add a turn')}
          onClick={() =>
            model.edit({
              turns: [
                ...turns,
                newTurn(
                  turns[turns.length - 1]?.role === 'user'
                    ? 'assistant'
                    : 'user'
                )
              ]
            })
          }
        />
      </div>
    </>
  );
}

function TurnText(props: {
  label: string;
  hideLabel?: boolean;
  value: string;
  onChange: (text: string) => void;
}): React.ReactElement {
  const { label, hideLabel, value, onChange } = props;
  const rows = Math.min(MOST_ROWS, Math.max(3, value.split('\n').length + 1));
  return (
    <label className="gol-Prompt-text">
      <span className={hideLabel ? 'gol-VisuallyHidden' : 'gol-Field-label'}>
        {label}
      </span>
      <textarea
        dir="auto"
        rows={rows}
        value={value}
        spellCheck={false}
        onChange={event => onChange(event.target.value)}
      />
    </label>
  );
}

function JsonField(props: {
  model: PromptsModel;
  draft: IDraft;
  field: 'settings' | 'tools' | 'schema';
  label: string;
  help: string;
  problem: string | undefined;
}): React.ReactElement {
  const { model, draft, field, label, help, problem } = props;
  const lines = draft[field].split('\n').length;
  return (
    <Field label={label} help={help} error={problem}>
      {control => (
        <textarea
          {...control}
          className="gol-Field-control gol-Prompt-json"
          rows={Math.min(MOST_ROWS, Math.max(3, lines + 1))}
          value={draft[field]}
          spellCheck={false}
          onChange={event => model.edit({ [field]: event.target.value })}
        />
      )}
    </Field>
  );
}

/** Which of the three the prompt has. */
function summary(draft: IDraft, trans: TranslationBundle): string {
  const names: [string, string][] = [
    [draft.settings, trans.__('settings')],
    [draft.tools, trans.__('tools')],
    [draft.schema, trans.__('schema')]
  ];
  return names
    .filter(([text]) => text.trim())
    .map(([, name]) => name)
    .join(', ');
}
