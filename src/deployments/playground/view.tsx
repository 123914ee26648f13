import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ApiError,
  Callout,
  CopyButton,
  DataTable,
  Disclosure,
  ResourceView,
  StatusBadge
} from '../../core';
import type { Resource } from '../../core';
import { Form } from '../../core/ui/form';
import { PageHead } from '../../core/ui/page';
import { Tabs } from '../../core/ui/tabs';

import type { IFields, IInterface } from './body';
import {
  answerRows,
  asCurl,
  asPython,
  bodyOf,
  firstBody,
  firstFields,
  pictureBody,
  pictureShape
} from './body';
import { ChatView } from './chat';
import type { ChatModel } from './chat-model';
import type { IAnswer, IProblem } from './problem';
import { problemOf } from './problem';

import '../../../style/core/tabs.css';
import '../../../style/deployments/playground.css';

/** A request of this session and its answer. */
interface ITried {
  number: number;
  at: Date;
  body: string;
  path: string;
  answer: IAnswer;
  /** What the answer tells if it is none. */
  problem?: IProblem;
}

const KEPT = 50;

interface IProps {
  name: string;
  /** The chosen address of the deployment in code. */
  code: (make: (url: string) => string) => string;
  /** Choose that address. */
  choice: React.ReactNode;
  resource: Resource<IInterface>;
  send: (body: string, path: string) => Promise<IAnswer>;
  /** The conversation with a language model. */
  chat: ChatModel;
  trans: TranslationBundle;
}

/** The page on which one tries a deployment. */
export function PlaygroundView(props: IProps): React.ReactElement {
  const { name, resource, trans } = props;
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={trans.__('The deployment cannot be asked.')}
      keepMounted
      empty={null}
    >
      {shown => (
        <>
          <PageHead title={trans.__('Try %1', name)}>
            <span className="gol-Note">
              {trans.__('Version %1', shown.version)}
            </span>
          </PageHead>
          {shown.kind === 'chat' ? (
            <ChatView {...props} model={props.chat} />
          ) : (
            <Playground {...props} shown={shown} />
          )}
        </>
      )}
    </ResourceView>
  );
}

function Playground(props: IProps & { shown: IInterface }): React.ReactElement {
  const { shown, trans, send } = props;
  const hasForm = shown.kind === 'columns' && Boolean(shown.inputs?.length);
  const [mode, setMode] = React.useState(hasForm ? 'form' : 'json');
  const [fields, setFields] = React.useState<IFields>(() => firstFields(shown));
  const [text, setText] = React.useState(() => firstBody(shown));
  const [path, setPath] = React.useState(shown.path);
  const [busy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<ApiError>();
  const [history, setHistory] = React.useState<readonly ITried[]>([]);
  const [selected, setSelected] = React.useState<ITried>();
  const [wrong, setWrong] = React.useState<IProblem['fields']>({});
  const body = mode === 'form' ? bodyOf(shown, fields) : text;

  const ask = () => {
    if (busy) {
      return;
    }
    setBusy(true);
    setError(undefined);
    send(body, path)
      .then(answer => {
        const number = (history[0]?.number ?? 0) + 1;
        const form = mode === 'form' ? { shown, fields } : undefined;
        const problem =
          answer.status < 400 ? undefined : problemOf(answer, trans, form);
        setWrong(problem?.fields ?? {});
        const tried = { number, at: new Date(), body, path, answer, problem };
        setHistory(before => [tried, ...before].slice(0, KEPT));
        setSelected(tried);
      })
      .catch((reason: unknown) => setError(ApiError.from(reason, trans)))
      .finally(() => setBusy(false));
  };
  const again = (tried: ITried) => {
    setSelected(tried);
    setText(tried.body);
    setPath(tried.path);
    setMode('json');
  };
  const pick = (chosen: string) => {
    if (chosen === 'json' && mode === 'form') {
      setText(body);
    }
    setMode(chosen);
  };
  const json = (
    <JsonInput
      shown={shown}
      text={text}
      onChange={setText}
      path={path}
      onPath={setPath}
      trans={trans}
    />
  );
  return (
    <div className="gol-Playground">
      <Form className="gol-Playground-request" onSubmit={ask} busy={busy}>
        {hasForm ? (
          <Tabs
            label={trans.__('How the request is written')}
            selected={mode}
            onSelect={pick}
            tabs={[
              {
                id: 'form',
                label: trans.__('Form'),
                render: () => (
                  <Fields
                    shown={shown}
                    fields={fields}
                    wrong={wrong}
                    onChange={(changed, name) => {
                      setFields(changed);
                      setWrong(({ [name]: _, ...others }) => others);
                    }}
                    trans={trans}
                  />
                )
              },
              { id: 'json', label: trans.__('JSON'), render: () => json }
            ]}
          />
        ) : (
          json
        )}
        <div className="gol-Actions">
          <button
            type="submit"
            className="jp-mod-styled jp-mod-accept"
            disabled={busy}
          >
            {busy ? trans.__('Waiting for the answer…') : trans.__('Send')}
          </button>
          <CopyButton
            text={() => props.code(url => asPython(url, body, path))}
            word={trans.__('Copy as Python')}
            label={trans.__(
              'Copy a Python program with this request. It reads the key from DEPLOYMENT_KEY.'
            )}
            trans={trans}
          />
          <CopyButton
            text={() => props.code(url => asCurl(url, body, path))}
            word={trans.__('Copy as curl')}
            label={trans.__(
              'Copy a curl command with this request. It reads the key from DEPLOYMENT_KEY.'
            )}
            trans={trans}
          />
          {props.choice}
        </div>
        {error && (
          <Callout tone="error" title={error.message}>
            {error.hint}
          </Callout>
        )}
      </Form>
      <section
        className="gol-Playground-answer"
        aria-label={trans.__('Answer')}
        aria-live="polite"
      >
        {selected ? (
          <Answer key={selected.number} tried={selected} trans={trans} />
        ) : (
          <p className="gol-Note">
            {trans.__('The answer appears here. Press Send.')}
          </p>
        )}
        {history.length > 1 && (
          <History
            history={history}
            selected={selected}
            onOpen={again}
            trans={trans}
          />
        )}
      </section>
    </div>
  );
}

function Fields(props: {
  shown: IInterface;
  fields: IFields;
  /** What is wrong with a field, by its name. */
  wrong: IProblem['fields'];
  onChange: (fields: IFields, name: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { shown, fields, wrong, onChange, trans } = props;
  const id = React.useId();
  return (
    <div className="gol-Playground-fields">
      {(shown.inputs ?? []).map(({ name, datatype }, at) => {
        const set = (value: string) =>
          onChange({ ...fields, [name]: value }, name);
        const common = {
          id: `${id}-${at}`,
          value: fields[name],
          'aria-invalid': wrong[name] ? true : undefined,
          'aria-describedby': `${id}-${at}-note`
        };
        return (
          <React.Fragment key={name}>
            <label htmlFor={common.id}>{name}</label>
            {datatype === 'BOOL' ? (
              <select
                {...common}
                className="jp-mod-styled"
                onChange={event => set(event.target.value)}
              >
                <option value="true">{trans.__('true')}</option>
                <option value="false">{trans.__('false')}</option>
              </select>
            ) : (
              <input
                {...common}
                className="jp-mod-styled"
                inputMode={datatype === 'BYTES' ? 'text' : 'decimal'}
                autoComplete="off"
                spellCheck={false}
                onChange={event => set(event.target.value)}
              />
            )}
            <span
              id={`${id}-${at}-note`}
              className={wrong[name] ? 'gol-Field-error' : 'gol-Note'}
            >
              {wrong[name] || typeName(datatype, trans)}
            </span>
          </React.Fragment>
        );
      })}
    </div>
  );
}

function typeName(datatype: string, trans: TranslationBundle): string {
  if (datatype === 'BYTES') {
    return trans.__('text');
  }
  if (datatype === 'BOOL') {
    return trans.__('true or false');
  }
  return datatype.startsWith('FP')
    ? trans.__('number')
    : trans.__('whole number');
}

function JsonInput(props: {
  shown: IInterface;
  text: string;
  onChange: (text: string) => void;
  path: string;
  onPath: (path: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { shown, text, onChange, trans } = props;
  const id = React.useId();
  const shape = pictureShape(shown);
  const [failure, setFailure] = React.useState('');
  const choose = (file: File | undefined) => {
    if (file && shape) {
      setFailure('');
      pictureBody(file, shape, shown.inputs![0].datatype).then(onChange, () =>
        setFailure(trans.__('“%1” is no picture that can be read.', file.name))
      );
    }
  };
  return (
    <div className="gol-Playground-json">
      {shape && (
        <>
          <label htmlFor={`${id}-picture`}>{trans.__('Picture')}</label>
          <input
            id={`${id}-picture`}
            type="file"
            accept="image/*"
            onChange={event => choose(event.target.files?.[0])}
          />
          <span className="gol-Note">
            {trans.__('It is scaled to the size that the model takes.')}
          </span>
          {failure && <Callout tone="error" title={failure} />}
        </>
      )}
      {shown.path !== '/invocations' && (
        <>
          <label htmlFor={`${id}-path`}>{trans.__('Path')}</label>
          <input
            id={`${id}-path`}
            className="jp-mod-styled"
            autoComplete="off"
            spellCheck={false}
            value={props.path}
            onChange={event => props.onPath(event.target.value)}
          />
        </>
      )}
      <label htmlFor={id}>{trans.__('Body of the request (JSON)')}</label>
      <textarea
        id={id}
        className="jp-mod-styled"
        rows={14}
        spellCheck={false}
        value={text}
        onChange={event => onChange(event.target.value)}
      />
    </div>
  );
}

function Answer(props: {
  tried: ITried;
  trans: TranslationBundle;
}): React.ReactElement {
  const { trans } = props;
  const { answer, problem } = props.tried;
  const good = answer.status < 400;
  const table = good ? answerRows(answer.body) : undefined;
  const [view, setView] = React.useState(table ? 'table' : 'json');
  const json = <pre className="gol-Playground-text">{pretty(answer.body)}</pre>;
  return (
    <>
      <p className="gol-Playground-status">
        <StatusBadge
          tone={good ? 'ok' : 'error'}
          label={
            good
              ? trans.__('Answered')
              : trans.__('Failed with HTTP %1', answer.status)
          }
        />
        <span>{trans.__('%1 ms', Math.round(answer.ms * 10) / 10)}</span>
        {answer.revision ? (
          <span>{trans.__('revision %1', answer.revision)}</span>
        ) : null}
      </p>
      {problem && (
        <Callout tone="error" title={problem.message}>
          {problem.hint}
        </Callout>
      )}
      {problem ? (
        <Disclosure title={trans.__('The whole answer')}>{json}</Disclosure>
      ) : table ? (
        <Tabs
          label={trans.__('How the answer is shown')}
          selected={view}
          onSelect={setView}
          tabs={[
            {
              id: 'table',
              label: trans.__('Table'),
              render: () => (
                <DataTable
                  caption={trans.__('Predictions')}
                  rows={table.rows.map((cells, at) => ({ at, cells }))}
                  rowKey={({ at }) => String(at)}
                  columns={table.columns.map((title, at) => ({
                    id: String(at),
                    title,
                    cell: ({ cells }: { cells: string[] }) => cells[at]
                  }))}
                />
              )
            },
            { id: 'json', label: trans.__('JSON'), render: () => json }
          ]}
        />
      ) : (
        json
      )}
    </>
  );
}

function History(props: {
  history: readonly ITried[];
  selected: ITried | undefined;
  onOpen: (tried: ITried) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { history, trans, onOpen } = props;
  return (
    <>
      <h3>{trans.__('Requests of this page')}</h3>
      <DataTable
        caption={trans.__('Requests of this page')}
        rows={[...history]}
        rowKey={({ number }) => String(number)}
        rowLabel={({ number }) => trans.__('Show request %1 again', number)}
        selected={props.selected && String(props.selected.number)}
        onOpen={onOpen}
        columns={[
          {
            id: 'number',
            title: trans.__('Request'),
            cell: ({ number }) => String(number),
            isHead: true
          },
          {
            id: 'at',
            title: trans.__('Time'),
            cell: ({ at }) => at.toLocaleTimeString([], { hour12: false })
          },
          {
            id: 'status',
            title: trans.__('Status'),
            cell: ({ answer }) => String(answer.status)
          },
          {
            id: 'ms',
            title: trans.__('ms'),
            cell: ({ answer }) => String(Math.round(answer.ms * 10) / 10)
          },
          {
            id: 'revision',
            title: trans.__('Revision'),
            cell: ({ answer }) => String(answer.revision || '')
          }
        ]}
      />
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text; // no JSON: shown as it came
  }
}
