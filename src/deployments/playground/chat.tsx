import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  CopyButton,
  DataTable,
  Field,
  StatusBadge,
  useSignalled
} from '../../core';
import { formatNumber } from '../../core/format';
import { Form } from '../../core/ui/form';

import type { ChatModel, IExchange, ITold, ITurn } from './chat-model';
import type { INewChat, ISettings } from './conversation';
import { NUMBERS, asCurl, asOpenAI, asPython } from './conversation';

import '../../../style/deployments/chat.css';

interface IProps {
  name: string;
  /** The chosen address of the deployment in code. */
  code: (make: (url: string) => string) => string;
  /** Choose that address. */
  choice: React.ReactNode;
  model: ChatModel;
  trans: TranslationBundle;
}

/** A conversation with a language model, its settings, and the requests of the page. */
export function ChatView(props: IProps): React.ReactElement {
  const { model, trans } = props;
  const state = useSignalled(model.changed, () => model.state);
  const { turns, busy, problem, history } = state;
  const log = React.useRef<HTMLDivElement>(null);
  const draft = React.useRef<HTMLTextAreaElement>(null);
  const id = React.useId();
  React.useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [turns]);
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (
      event.key === 'Enter' &&
      !event.shiftKey &&
      !event.nativeEvent.isComposing
    ) {
      event.preventDefault();
      void model.send();
    }
  };
  return (
    <div className="gol-Chat">
      <div className="gol-Chat-talk">
        {turns.length > 0 ? (
          <div
            ref={log}
            className="gol-Chat-log"
            role="log"
            aria-label={trans.__('Conversation')}
            aria-busy={busy}
            tabIndex={0}
          >
            {turns.map((turn, at) => (
              <Turn
                key={at}
                turn={turn}
                comes={busy && at === turns.length - 1}
                trans={trans}
              />
            ))}
          </div>
        ) : (
          <p className="gol-Note">
            {trans.__('Write a message. The answer appears as it is made.')}
          </p>
        )}
        {problem && (
          <div role="alert">
            <Callout tone="error" title={problem.message}>
              {problem.hint}
            </Callout>
          </div>
        )}
        <Form
          className="gol-Chat-draft"
          onSubmit={() => void model.send()}
          busy={busy}
        >
          <label htmlFor={id}>{trans.__('Message')}</label>
          <textarea
            ref={draft}
            id={id}
            className="jp-mod-styled"
            rows={3}
            value={state.draft}
            aria-describedby={`${id}-keys`}
            onChange={event => model.set({ draft: event.target.value })}
            onKeyDown={onKeyDown}
          />
          <span id={`${id}-keys`} className="gol-Note">
            {trans.__(
              'Enter sends the message, Shift+Enter begins a new line.'
            )}
          </span>
          <div className="gol-Actions">
            {busy ? (
              <ActionButton
                key="stop"
                label={trans.__('Stop')}
                caption={trans.__('End the answer; the model stops too')}
                onClick={() => {
                  model.stop();
                  draft.current?.focus();
                }}
              />
            ) : (
              <button
                key="send"
                type="submit"
                className="jp-mod-styled jp-mod-accept"
                disabled={!state.draft.trim() || model.wrong.length > 0}
              >
                {trans.__('Send')}
              </button>
            )}
            {turns.length > 0 && (
              <>
                <ActionButton
                  label={trans.__('Answer again')}
                  caption={trans.__(
                    'Ask again for the last answer, with the settings of now'
                  )}
                  disabled={busy}
                  onClick={() => void model.again()}
                />
                <ActionButton
                  label={trans.__('New conversation')}
                  onClick={() => model.clear()}
                />
              </>
            )}
            <Copies {...props} />
          </div>
        </Form>
      </div>
      <div className="gol-Chat-side">
        <Settings model={model} trans={trans} />
        {history.length > 0 && (
          <History
            history={history}
            selected={state.selected}
            onOpen={exchange => model.open(exchange)}
            trans={trans}
          />
        )}
      </div>
    </div>
  );
}

function Copies({
  name,
  code,
  choice,
  model,
  trans
}: IProps): React.ReactElement {
  const button = (
    word: string,
    label: string,
    make: (url: string, name: string, chat: INewChat) => string
  ) => (
    <CopyButton
      text={() => code(url => make(url, name, model.request))}
      word={word}
      label={label}
      trans={trans}
    />
  );
  return (
    <>
      {button(
        trans.__('Copy for OpenAI client'),
        trans.__(
          'Copy a program for the OpenAI client. It reads the key from DEPLOYMENT_KEY.'
        ),
        asOpenAI
      )}
      {button(
        trans.__('Copy as Python'),
        trans.__(
          'Copy a Python program with this request. It reads the key from DEPLOYMENT_KEY.'
        ),
        asPython
      )}
      {button(
        trans.__('Copy as curl'),
        trans.__(
          'Copy a curl command with this request. It reads the key from DEPLOYMENT_KEY.'
        ),
        asCurl
      )}
      {choice}
    </>
  );
}

function Turn(props: {
  turn: ITurn;
  comes: boolean;
  trans: TranslationBundle;
}): React.ReactElement {
  const { turn, comes, trans } = props;
  const { role, content, reasoning, told } = turn;
  return (
    <article className={`gol-Chat-turn gol-mod-${role}`}>
      <h3>{role === 'user' ? trans.__('You') : trans.__('Model')}</h3>
      {reasoning && (
        <details open={comes && !content}>
          <summary>{trans.__('Reasoning')}</summary>
          <p className="gol-Chat-text">{reasoning}</p>
        </details>
      )}
      <p className="gol-Chat-text">
        {content}
        {comes && <span className="gol-Chat-caret" aria-hidden="true" />}
      </p>
      {comes && !content && !reasoning && (
        <p className="gol-Note">{trans.__('Waiting for the first token…')}</p>
      )}
      {told && (
        <p className="gol-Playground-status gol-Note">
          <StatusBadge {...endOf(told, trans)} />
          {factsOf(told, trans).map(fact => (
            <span key={fact}>{fact}</span>
          ))}
          {content && (
            <CopyButton
              text={content}
              label={trans.__('Copy the answer')}
              trans={trans}
            />
          )}
        </p>
      )}
    </article>
  );
}

function endOf(
  { end, stopped }: ITold,
  trans: TranslationBundle
): StatusBadge.IProps {
  if (stopped) {
    return { tone: 'stopped', label: trans.__('Stopped by you') };
  }
  if (!end) {
    return { tone: 'error', label: trans.__('Broken off') };
  }
  return end.finish === 'length'
    ? { tone: 'warning', label: trans.__('Cut at the most tokens') }
    : { tone: 'ok', label: trans.__('Complete') };
}

/** The figures of an answer, each with its unit. */
function factsOf(told: ITold, trans: TranslationBundle): string[] {
  const { first, ms, end } = told;
  const tokens = end?.completion_tokens ?? null;
  const facts: string[] = [];
  if (tokens !== null) {
    facts.push(trans._n('%1 token', '%1 tokens', tokens));
  }
  if (first !== null) {
    facts.push(trans.__('first token after %1 ms', round(first)));
  }
  if (tokens !== null && tokens > 1 && first !== null && ms > first) {
    const rate = ((tokens - 1) / (ms - first)) * 1000;
    facts.push(
      trans.__('%1 tokens/s', formatNumber(Number(rate.toPrecision(3))))
    );
  }
  if (end?.prompt_tokens) {
    facts.push(
      trans._n(
        '%1 token in the prompt',
        '%1 tokens in the prompt',
        end.prompt_tokens
      )
    );
  }
  if (end?.revision) {
    facts.push(trans.__('revision %1', end.revision));
  }
  return facts;
}

function Settings(props: {
  model: ChatModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const { settings } = model.state;
  const set = (change: Partial<ISettings>) =>
    model.set({ settings: { ...settings, ...change } });
  const wrong = model.wrong;
  const number = (name: keyof typeof NUMBERS, label: string, help: string) => {
    const { least, most, whole } = NUMBERS[name];
    return (
      <Field
        label={label}
        help={help}
        error={
          wrong.includes(name)
            ? whole
              ? trans.__(
                  'Write a whole number from %1 to %2.',
                  least.toLocaleString(),
                  most.toLocaleString()
                )
              : trans.__('Write a number from %1 to %2.', least, most)
            : ''
        }
      >
        {control => (
          <input
            {...control}
            type="text"
            inputMode="decimal"
            autoComplete="off"
            placeholder={trans.__('set by the engine')}
            value={settings[name]}
            onChange={event => set({ [name]: event.target.value })}
          />
        )}
      </Field>
    );
  };
  return (
    <section
      className="gol-Chat-settings"
      aria-label={trans.__('Settings of the request')}
    >
      <Field label={trans.__('System prompt')}>
        {control => (
          <textarea
            {...control}
            rows={3}
            value={settings.system}
            onChange={event => set({ system: event.target.value })}
          />
        )}
      </Field>
      <div className="gol-Chat-numbers">
        {number(
          'temperature',
          trans.__('Temperature'),
          trans.__('0: the likeliest token each time')
        )}
        {number(
          'top_p',
          trans.__('Top p'),
          trans.__('Share of probability to draw from')
        )}
        {number(
          'max_tokens',
          trans.__('Most tokens'),
          trans.__('The answer is cut there')
        )}
        {number(
          'seed',
          trans.__('Seed'),
          trans.__('Repeats an answer where the engine can')
        )}
      </div>
      <Field
        label={trans.__('Stop at')}
        help={trans.__('Texts before which the answer ends, one a line')}
      >
        {control => (
          <textarea
            {...control}
            rows={2}
            spellCheck={false}
            value={settings.stop}
            onChange={event => set({ stop: event.target.value })}
          />
        )}
      </Field>
    </section>
  );
}

function History(props: {
  history: readonly IExchange[];
  selected: number;
  onOpen: (exchange: IExchange) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { history, selected, onOpen, trans } = props;
  const figure = (value: number | null | undefined) =>
    value === null || value === undefined ? '–' : round(value);
  return (
    <section>
      <h3>{trans.__('Requests of this page')}</h3>
      <DataTable
        caption={trans.__('Requests of this page')}
        rows={[...history]}
        rowKey={({ number }) => String(number)}
        rowLabel={({ number }) =>
          trans.__('Show the conversation of request %1', number)
        }
        selected={selected ? String(selected) : undefined}
        onOpen={onOpen}
        columns={[
          {
            id: 'number',
            title: trans.__('Request'),
            cell: ({ number }) => String(number),
            tip: ({ at }) => at.toLocaleTimeString(),
            isHead: true
          },
          {
            id: 'temperature',
            title: trans.__('Temperature'),
            cell: ({ settings }) => settings.temperature || '–',
            numeric: true
          },
          {
            id: 'tokens',
            title: trans.__('Tokens'),
            cell: ({ told }) => figure(told.end?.completion_tokens),
            numeric: true
          },
          {
            id: 'first',
            title: trans.__('First token (ms)'),
            cell: ({ told }) => figure(told.first),
            numeric: true
          },
          {
            id: 'ms',
            title: trans.__('Whole (ms)'),
            cell: ({ told }) => figure(told.ms),
            numeric: true
          }
        ]}
      />
    </section>
  );
}

function round(value: number): string {
  return Math.round(value).toLocaleString();
}
