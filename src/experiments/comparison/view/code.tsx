import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IRunComparison, ITextChange } from '../service';
import type { ILine } from '../side-by-side';
import { sideBySide } from '../side-by-side';

import { Section } from './section';
import { columnName, letter } from './messages';

/** Cells, or uncommitted changes, of one column beside the baseline's. */
export function CodeSection(
  props: CodeSection.IProps
): React.ReactElement | null {
  const { comparison, title, texts, none, trans } = props;
  const { baseline, columns, changes } = comparison;
  const others = columns.map((_, column) => column).filter(c => c !== baseline);
  const [chosen, setChosen] = React.useState<number | null>(null);
  const id = React.useId();
  const isThere = (column: number) =>
    texts(changes[column]).length > 0 || Boolean(changes[column].why);
  if (!others.some(isThere)) {
    return null;
  }
  const differs = (column: number) =>
    texts(changes[column]).some(({ kind }) => kind !== 'equal');
  const column =
    chosen !== null && others.includes(chosen)
      ? chosen
      : (others.find(differs) ?? others[0]);
  const differing = others.filter(differs).length;
  return (
    <Section
      title={title}
      meta={trans._n(
        '%1 differs from %2',
        '%1 differ from %2',
        differing,
        letter(baseline)
      )}
      initiallyOpen={differing > 0}
    >
      {others.length > 1 && (
        <div className="gol-Comparison-choice">
          <label htmlFor={id}>
            {trans.__('Compare %1 with:', letter(baseline))}
          </label>
          <select
            id={id}
            value={column}
            onChange={event => setChosen(Number(event.target.value))}
          >
            {others.map(other => (
              <option key={other} value={other}>
                {`${letter(other)} ${columnName(comparison, other)}${differs(other) ? '' : ` (${trans.__('equal')})`}`}
              </option>
            ))}
          </select>
        </div>
      )}
      {changes[column].why && (
        <p className="gol-Comparison-quiet">{changes[column].why}</p>
      )}
      {!differs(column) && texts(changes[column]).length > 0 && (
        <p className="gol-Comparison-quiet">{none}</p>
      )}
      <Texts
        // Unfolded parts belong to these two columns.
        key={`${baseline}-${column}`}
        texts={texts(changes[column])}
        labels={[baseline, column].map(
          c => `${letter(c)} ${columnName(comparison, c)}`
        )}
        trans={trans}
      />
    </Section>
  );
}

export namespace CodeSection {
  export interface IProps {
    comparison: IRunComparison;
    title: string;
    texts: (
      changes: IRunComparison['changes'][number]
    ) => readonly ITextChange[];
    /** Shown if nothing differs. */
    none: string;
    trans: TranslationBundle;
  }
}

/** All texts in order; equal ones are only counted. */
function Texts(props: {
  texts: readonly ITextChange[];
  labels: readonly string[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { texts, labels, trans } = props;
  const shown: React.ReactElement[] = [];
  let equal = 0;
  const tellEqual = (key: string) => {
    if (equal > 0 && equal < texts.length) {
      shown.push(
        <p key={key} className="gol-Comparison-quiet">
          {trans._n(
            '%1 cell or file is equal',
            '%1 cells or files are equal',
            equal
          )}
        </p>
      );
    }
    equal = 0;
  };
  texts.forEach((text, index) => {
    if (text.kind === 'equal') {
      equal += 1;
      return;
    }
    tellEqual(`equal-${index}`);
    shown.push(<Text key={index} text={text} labels={labels} trans={trans} />);
  });
  tellEqual('equal');
  return <>{shown}</>;
}

/** Two texts side by side, with differing words marked. */
function Text(props: {
  text: ITextChange;
  labels: readonly string[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { text, labels, trans } = props;
  const [unfolded, setUnfolded] = React.useState<ReadonlySet<number>>(
    new Set()
  );
  const rows = React.useMemo(
    () => sideBySide(text, unfolded),
    [text, unfolded]
  );
  if (text.left_out) {
    return (
      <p className="gol-Comparison-quiet">
        {text.title}: {trans.__('it differs, and is too long to show.')}
      </p>
    );
  }
  return (
    <div
      className="gol-Comparison-scroll"
      role="group"
      aria-label={trans.__('%1, side by side', text.title)}
      tabIndex={0}
    >
      {/* eslint-disable-next-line no-restricted-syntax -- two texts side by side with folds: no rows of one kind */}
      <table className="gol-Diff">
        <caption>
          <code>{text.title}</code>
          {text.kind === 'added' && (
            <span>{trans.__('only in %1', labels[1])}</span>
          )}
          {text.kind === 'removed' && (
            <span>{trans.__('only in %1', labels[0])}</span>
          )}
        </caption>
        <colgroup>
          <col className="gol-Diff-numbers" />
          <col />
          <col className="gol-Diff-numbers" />
          <col />
        </colgroup>
        <thead className="gol-VisuallyHidden">
          <tr>
            <th scope="col">{trans.__('Line')}</th>
            <th scope="col">{labels[0]}</th>
            <th scope="col">{trans.__('Line')}</th>
            <th scope="col">{labels[1]}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) =>
            row.kind === 'fold' ? (
              <tr key={index} className="gol-Diff-fold">
                <td colSpan={4}>
                  <button
                    type="button"
                    className="gol-LinkButton"
                    onClick={() =>
                      setUnfolded(new Set([...unfolded, row.first]))
                    }
                  >
                    {trans.__('Show %1 equal lines', row.hidden)}
                  </button>
                </td>
              </tr>
            ) : (
              <tr key={index}>
                <Side
                  line={row.before}
                  mark={row.kind === 'changed' ? 'removed' : null}
                  trans={trans}
                />
                <Side
                  line={row.after}
                  mark={row.kind === 'changed' ? 'added' : null}
                  trans={trans}
                />
              </tr>
            )
          )}
        </tbody>
      </table>
    </div>
  );
}

function Side(props: {
  line: ILine | null;
  mark: 'added' | 'removed' | null;
  trans: TranslationBundle;
}): React.ReactElement {
  const { line, mark, trans } = props;
  const className = line
    ? mark
      ? `gol-mod-${mark}`
      : undefined
    : 'gol-mod-void';
  const spoken = { added: trans.__('added'), removed: trans.__('removed') };
  return (
    <>
      <td className="gol-Diff-number">{line?.number}</td>
      <td className={className}>
        {line && mark && (
          <span className="gol-VisuallyHidden">{spoken[mark]}: </span>
        )}
        {line?.parts.map((part, index) =>
          part.changed ? (
            <mark key={index}>{part.text}</mark>
          ) : (
            <span key={index}>{part.text}</span>
          )
        )}
      </td>
    </>
  );
}
