import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ApiError } from '../../../core';
import { IconButton } from '../../../core';
import type { RunTableModel } from '../model';
import { around, completed, pointsAt } from '../query-text';
import type { ICompletion } from '../service';

/** A query is applied after a pause of typing, in ms, or with Enter. */
const APPLY_MS = 600;
const COMPLETE_MS = 80;
const MOST_SHOWN = 12;
/** Characters that are shown before and behind an error. */
const MOST_AROUND = 24;

/** The query field: completes the text, and marks errors. */
export function QueryBox(props: QueryBox.IProps): React.ReactElement {
  const { model, query, error, trans } = props;
  const [draft, setDraft] = React.useState(query);
  const [options, setOptions] = React.useState<readonly IOption[]>([]);
  const [active, setActive] = React.useState(-1);
  const input = React.useRef<HTMLInputElement>(null);
  const applying = React.useRef<number>();
  const asking = React.useRef<number>();
  const asked = React.useRef<AbortController>();
  const applied = React.useRef(query);
  const id = React.useId();
  // While another query is running, the error is still that of the previous
  // one.
  const wrong = React.useRef({ error, query });
  if (wrong.current.error !== error) {
    wrong.current = { error, query };
  }

  React.useEffect(() => {
    // A query from this field may already have been typed on.
    if (query !== applied.current) {
      applied.current = query;
      setDraft(query);
    }
  }, [query]);
  const close = React.useCallback(() => {
    window.clearTimeout(asking.current);
    asked.current?.abort();
    setOptions([]);
    setActive(-1);
  }, []);
  React.useEffect(
    () => () => {
      window.clearTimeout(applying.current);
      window.clearTimeout(asking.current);
      asked.current?.abort();
    },
    []
  );

  const apply = (text: string) => {
    window.clearTimeout(applying.current);
    applied.current = text.trim();
    model.setView({ query: applied.current });
  };
  const applySoon = (text: string) => {
    window.clearTimeout(applying.current);
    applying.current = window.setTimeout(() => apply(text), APPLY_MS);
  };

  const complete = (text: string, cursor: number, later = COMPLETE_MS) => {
    window.clearTimeout(asking.current);
    asked.current?.abort();
    if (!text.trim()) {
      setOptions(
        model.queries.map(each => ({ kind: 'recent', text: each, detail: '' }))
      );
      setActive(-1);
      return;
    }
    const abort = (asked.current = new AbortController());
    asking.current = window.setTimeout(() => {
      model
        .completions(text, pointsAt(text, cursor), abort.signal)
        .then(found => {
          if (!abort.signal.aborted) {
            setOptions(found.slice(0, MOST_SHOWN));
            setActive(-1);
          }
        })
        // Without completions the query can be typed; the table shows its
        // errors.
        .catch(() => !abort.signal.aborted && setOptions([]));
    }, later);
  };

  const take = (option: IOption) => {
    if (!('start' in option)) {
      setDraft(option.text);
      apply(option.text);
      close();
      return;
    }
    const { text, cursor } = completed(draft, option);
    setDraft(text);
    applySoon(text);
    close();
    requestAnimationFrame(() => {
      // On a busy machine the user may have typed on before this frame.
      if (input.current?.value === text) {
        input.current.setSelectionRange(cursor, cursor);
        complete(text, cursor, 0);
      }
    });
  };

  const onKeyDown = (event: React.KeyboardEvent<HTMLInputElement>) => {
    const isOpen = options.length > 0;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!isOpen) {
        complete(draft, event.currentTarget.selectionStart ?? 0, 0);
      } else {
        const step = event.key === 'ArrowDown' ? 1 : -1;
        const next = active + step;
        setActive(
          next < -1 ? options.length - 1 : next >= options.length ? -1 : next
        );
      }
    } else if ((event.key === 'Enter' || event.key === 'Tab') && active >= 0) {
      event.preventDefault();
      take(options[active]);
    } else if (event.key === 'Enter') {
      close();
      apply(draft);
    } else if (event.key === 'Escape' && isOpen) {
      event.stopPropagation();
      close();
    } else if (event.key === 'Escape' && draft) {
      event.stopPropagation();
      setDraft('');
      apply('');
    }
  };

  const position = Number(error?.details.position ?? NaN);
  const errorId = `${id}-error`;
  return (
    <div className={`gol-QueryBox ${error ? 'gol-mod-wrong' : ''}`}>
      <div className="gol-QueryBox-field">
        <input
          ref={input}
          type="text"
          role="combobox"
          spellCheck={false}
          autoComplete="off"
          aria-label={trans.__('Query')}
          aria-autocomplete="list"
          aria-expanded={options.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
          aria-invalid={error !== null}
          aria-describedby={error ? errorId : undefined}
          placeholder={trans.__(
            'Query, such as %1',
            model.subject.words.example
          )}
          value={draft}
          onChange={event => {
            const { value, selectionStart } = event.target;
            setDraft(value);
            applySoon(value);
            complete(value, selectionStart ?? value.length);
          }}
          onFocus={() => !draft && complete('', 0)}
          onBlur={() => {
            close();
            if (draft.trim() !== query) {
              apply(draft);
            }
          }}
          onKeyDown={onKeyDown}
        />
        {draft && (
          <IconButton
            icon={closeIcon}
            label={trans.__('Clear the query')}
            onClick={() => {
              setDraft('');
              apply('');
              input.current?.focus();
            }}
          />
        )}
        <ul
          className="gol-QueryBox-list"
          id={`${id}-list`}
          role="listbox"
          aria-label={trans.__('Completions')}
          hidden={options.length === 0}
        >
          {options.map((option, place) => (
            <li
              key={`${option.kind} ${option.text}`}
              id={`${id}-${place}`}
              role="option"
              aria-selected={place === active}
              ref={node => {
                if (place === active) {
                  node?.scrollIntoView?.({ block: 'nearest' });
                }
              }}
              // The field keeps the focus.
              onMouseDown={event => event.preventDefault()}
              onClick={() => take(option)}
            >
              <span className="gol-QueryBox-text">{option.text}</span>
              <span className="gol-QueryBox-kind">
                {option.detail || kindWord(option.kind, trans)}
              </span>
            </li>
          ))}
        </ul>
      </div>
      {/** The line stays without text too, so that nothing moves. */}
      <div className="gol-QueryBox-notes">
        {!error && query && props.doubts.length > 0 && (
          <p role="status">
            {props.doubts.map(({ message, hint, position, length }) => (
              <span key={`${position} ${length}`}>
                {message} {hint}{' '}
              </span>
            ))}
          </p>
        )}
        <div role="alert">
          {error && (
            <p id={errorId}>
              {Number.isFinite(position) && wrong.current.query && (
                <code title={wrong.current.query}>
                  <Pointed
                    pieces={around(
                      wrong.current.query,
                      position,
                      Number(error.details.length ?? 1)
                    )}
                  />
                </code>
              )}
              {error.message} {error.hint}
            </p>
          )}
        </div>
      </div>
    </div>
  );
}

export namespace QueryBox {
  export interface IProps {
    model: RunTableModel;
    /** The query that was applied last. */
    query: string;
    /** The query's error. */
    error: ApiError | null;
    /** Warnings about the query. */
    doubts: readonly {
      message: string;
      hint: string;
      position: number;
      length: number;
    }[];
    trans: TranslationBundle;
  }
}

type IOption = ICompletion | { kind: 'recent'; text: string; detail: string };

/** A text with its wrong piece marked; at its end, the place behind it. */
function Pointed(props: {
  pieces: [string, string, string];
}): React.ReactElement {
  const [before, wrong, after] = props.pieces;
  return (
    <>
      {before.length > MOST_AROUND ? `…${before.slice(-MOST_AROUND)}` : before}
      <mark>{wrong || '\u00a0'}</mark>
      {after.length > MOST_AROUND ? `${after.slice(0, MOST_AROUND)}…` : after}
    </>
  );
}

function kindWord(kind: IOption['kind'], trans: TranslationBundle): string {
  switch (kind) {
    case 'attribute':
      return trans.__('attribute');
    case 'metric':
      return trans.__('metric');
    case 'param':
      return trans.__('parameter');
    case 'tag':
      return trans.__('tag');
    case 'operator':
      return trans.__('operator');
    case 'keyword':
      return trans.__('keyword');
    case 'value':
      return trans.__('value');
    case 'recent':
      return trans.__('earlier query');
  }
}
