import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Resource, ResourceView } from '../../core';
import type { GridColumn } from '../../core/ui/grid';
import { Grid } from '../../core/ui/grid';

import { ExampleAnswers } from './answers';
import type { Change, Filter, IListedExample } from './example-list';
import { FILTERS, hasWords, inOrder, passes } from './example-list';
import { resultText } from './figures';
import { Select } from './select';
import type {
  AnswersService,
  ICompared,
  IEvaluation,
  IExampleResult,
  IExamples,
  ISide
} from './service';

const ROW_PX = 26;

/** What the examples show: which scorer and models, and which of the examples. */
export interface IChosen {
  readonly scorer: string;
  readonly model: string;
  readonly filter: Filter;
}

/**
 * What is chosen, and `show`, which chooses and goes to the examples.
 *
 * `examples` is the element with them.
 */
export function useChosen(first: Pick<IChosen, 'scorer' | 'model'>): {
  chosen: IChosen;
  choose: (part: Partial<IChosen>) => void;
  show: (part: Partial<IChosen>) => void;
  examples: React.RefObject<HTMLDivElement>;
} {
  const examples = React.useRef<HTMLDivElement>(null);
  const [wanted, setWanted] = React.useState<Partial<IChosen>>({});
  const choose = (part: Partial<IChosen>) => setWanted({ ...wanted, ...part });
  const show = (part: Partial<IChosen>) => {
    choose(part);
    examples.current?.scrollIntoView();
    examples.current?.querySelector('select')?.focus();
  };
  const chosen: IChosen = { filter: 'all', ...first, ...wanted };
  return { chosen, choose, show, examples };
}

interface IProps {
  evaluation: IEvaluation;
  /** Where the results come from: new results are read again. */
  report: object;
  scorers: readonly string[];
  /** The models, or pairs of them, that can be chosen. */
  models: readonly (readonly [model: string, label: string])[];
  sides: readonly ISide[];
  compared: ICompared | undefined;
  service: AnswersService;
  chosen: IChosen;
  onChoose: (part: Partial<IChosen>) => void;
  onTrace: (id: string) => void;
  trans: TranslationBundle;
}

/** The examples of an evaluation beside the answers to the chosen one. */
export function ExamplesView(props: IProps): React.ReactElement {
  const { evaluation, report, scorers, models, sides, service } = props;
  const { chosen, onChoose, trans } = props;
  const { id, stage } = evaluation;
  const { scorer, model } = chosen;
  const shown = sides.map(each => `${each.evaluation}\n${each.model}`);
  const key = [id, scorer, stage, ...shown].join('\n');
  const examples = React.useMemo(
    () =>
      new Resource<IExamples>({
        fetch: signal => service.examples(id, scorer, sides, signal),
        trans
      }),
    // The report is new after each stage.
    [service, key, report, trans]
  );
  React.useEffect(() => {
    examples.visible = true;
    return () => examples.dispose();
  }, [examples]);
  // Kept here: the list below is drawn anew when the examples are read again.
  const [text, setText] = React.useState('');
  const [example, setExample] = React.useState('');
  return (
    <section className="gol-Examples" aria-label={trans.__('Examples')}>
      <h3>{trans.__('Examples')}</h3>
      <div className="gol-ListTable-bar">
        <Select
          label={trans.__('Scorer')}
          value={scorer}
          options={scorers.map(each => [each, each])}
          onChange={each => onChoose({ scorer: each })}
        />
        {models.length > 1 && (
          <Select
            label={trans.__('Models')}
            value={model}
            options={models}
            onChange={each => onChoose({ model: each })}
          />
        )}
      </div>
      <ResourceView
        resource={examples}
        trans={trans}
        down={trans.__('The examples cannot be read.')}
        empty={null}
      >
        {found => (
          <Listed
            {...props}
            {...{ found, text, setText, example, setExample }}
          />
        )}
      </ResourceView>
    </section>
  );
}

function Listed(
  props: IProps & {
    found: IExamples;
    text: string;
    setText: (text: string) => void;
    example: string;
    setExample: (example: string) => void;
  }
): React.ReactElement {
  const { evaluation, report, sides, compared, chosen, found, service, trans } =
    props;
  const { text, setText, example, setExample } = props;
  const { filter } = chosen;
  const grid = React.useRef<HTMLDivElement | null>(null);
  const all = React.useMemo(
    () => inOrder(found.examples, compared),
    [found, compared]
  );
  const counts = React.useMemo(
    () =>
      new Map(
        FILTERS.map(each => [each, all.filter(one => passes(one, each)).length])
      ),
    [all]
  );
  const rows = React.useMemo(
    () => all.filter(each => passes(each, filter) && hasWords(each, text)),
    [all, filter, text]
  );
  const at = Math.max(
    rows.findIndex(each => each.example === example),
    0
  );
  const current = rows[at];
  const move = (by: number) => {
    const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    if (next) {
      setExample(next.example);
      show(grid.current, rows.indexOf(next));
    }
  };
  return (
    <div
      onKeyDown={event => {
        const by = { j: 1, k: -1 }[event.key];
        const target = event.target as Element;
        if (
          by &&
          !event.defaultPrevented &&
          !(event.ctrlKey || event.metaKey || event.altKey) &&
          !target.closest('input, select, textarea')
        ) {
          event.preventDefault();
          if (grid.current?.contains(target)) {
            // The grid moves its own cell.
            const key = by > 0 ? 'ArrowDown' : 'ArrowUp';
            target.dispatchEvent(
              new KeyboardEvent('keydown', { key, bubbles: true })
            );
          } else {
            move(by);
          }
        }
      }}
    >
      <div className="gol-ListTable-bar">
        <Select
          label={trans.__('Show')}
          value={filter}
          options={FILTERS.filter(
            each => each === filter || counts.get(each)
          ).map(each => [
            each,
            trans.__('%1 (%2)', filterWord(each, trans), counts.get(each) ?? 0)
          ])}
          onChange={each => props.onChoose({ filter: each as Filter })}
        />
        <input
          type="search"
          aria-label={trans.__('Filter examples')}
          placeholder={trans.__('Filter')}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <span className="gol-Note" role="status">
          {rows.length === 0
            ? trans.__('No examples match.')
            : trans.__(
                'Example %1, %2 of %3',
                current.example,
                at + 1,
                rows.length
              )}
        </span>
        <span className="gol-Note">
          {trans.__('j and k: next and previous example')}
        </span>
      </div>
      {(found.left_out ?? 0) > 0 && (
        <p className="gol-Note">
          {trans.__(
            'The table has the first %1 examples; %2 more are in the files of the result.',
            found.examples.length.toLocaleString(),
            found.left_out!.toLocaleString()
          )}
        </p>
      )}
      {current && (
        <div className="gol-Examples-columns">
          <ExamplesGrid
            sides={sides}
            rows={rows}
            chosen={current.example}
            onChoose={setExample}
            element={grid}
            trans={trans}
          />
          <ExampleAnswers
            evaluation={evaluation}
            report={report}
            sides={sides}
            example={current.example}
            service={service}
            onTrace={props.onTrace}
            trans={trans}
          />
        </div>
      )}
    </div>
  );
}

/** All examples in a table of any length. Arrows, j and k choose one. */
function ExamplesGrid(props: {
  sides: readonly ISide[];
  rows: readonly IListedExample[];
  chosen: string;
  onChoose: (example: string) => void;
  element: React.MutableRefObject<HTMLDivElement | null>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sides, rows, chosen, onChoose, element, trans } = props;
  const columns = React.useMemo(
    (): GridColumn<IListedExample>[] => [
      {
        key: 'example',
        name: trans.__('Example'),
        width: 84,
        resizable: true,
        renderCell: ({ row }) => row.example
      },
      ...sides.map(({ label, short }, at): GridColumn<IListedExample> => ({
        key: `side ${at}`,
        name: short,
        renderHeaderCell: () => <span title={label}>{short}</span>,
        width: 104,
        resizable: true,
        renderCell: ({ row }) => <Mark result={row.results[at]} trans={trans} />
      })),
      ...(sides.length > 1
        ? [
            {
              key: 'change',
              name: trans.__('Change'),
              width: 116,
              resizable: true,
              renderCell: ({ row }: { row: IListedExample }) =>
                row.change && (
                  <span className={`gol-Change gol-mod-${row.change}`}>
                    {changeWord(row.change, trans)}
                  </span>
                )
            }
          ]
        : []),
      {
        key: 'asked',
        name: trans.__('Question'),
        minWidth: 140,
        resizable: true,
        renderCell: ({ row }) => <span title={row.asked}>{row.asked}</span>
      }
    ],
    [sides, trans]
  );
  return (
    <Grid
      className="gol-Examples-grid"
      aria-label={trans.__('Examples')}
      rows={rows}
      columns={columns}
      rowHeight={ROW_PX}
      headerRowHeight={ROW_PX}
      grouped={false}
      sort={[]}
      onSort={() => undefined}
      element={element}
      rowClass={({ example }) =>
        example === chosen ? 'gol-mod-chosen' : undefined
      }
      onSelectedCellChange={({ row }) => {
        // The head of the table is not a row.
        if (row as IListedExample | undefined) {
          onChoose(row.example);
        }
      }}
    />
  );
}

function Mark(props: {
  result: IExampleResult | undefined;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { result, trans } = props;
  if (!result) {
    return null;
  }
  const { value } = result;
  const look =
    value === null
      ? result.failed
        ? 'gol-mod-error'
        : 'gol-mod-none'
      : value <= 0.5
        ? 'gol-mod-low'
        : 'gol-mod-high';
  return (
    <span className={`gol-Mark ${look}`}>{resultText(result, trans)}</span>
  );
}

/** Scroll a row of the table into view. */
function show(grid: HTMLDivElement | null, at: number): void {
  if (!grid) {
    return;
  }
  const top = at * ROW_PX;
  const height = grid.clientHeight - 2 * ROW_PX;
  if (top < grid.scrollTop || top > grid.scrollTop + height) {
    grid.scrollTop = Math.max(top - height / 2, 0);
  }
}

function changeWord(change: Change, trans: TranslationBundle): string {
  return {
    'new-failure': trans.__('New failure'),
    worse: trans.__('Worse'),
    mended: trans.__('Mended'),
    better: trans.__('Better')
  }[change];
}

function filterWord(filter: Filter, trans: TranslationBundle): string {
  return {
    all: trans.__('All examples'),
    'new-failure': trans.__('New failures'),
    worse: trans.__('Worse'),
    mended: trans.__('Mended'),
    better: trans.__('Better'),
    low: trans.__('Score of 0.5 or less'),
    failed: trans.__('Errors'),
    'not-scored': trans.__('Not scored')
  }[filter];
}
