/** Writes Python that draws a card again, with its data inside. */
import type { ICard } from './cards';
import { STUDENT } from './means';
import type { ICurvesInput } from './pictures/curves';
import type { IRows } from './rows';
import { axisValues } from './rows';
import type { IImportance } from './service';

/** Points of a run that are written into a cell. */
const MOST_POINTS = 2000;
const MOST_ROWS = 2000;

/** Return the code of a curves card. */
export function curvesCode(input: ICurvesInput, smoothed: string): string {
  const { card, runs, histories, x } = input;
  const shown = runs.flatMap(run => {
    const history = histories.get(run.id);
    return history && history.points > 0 ? [{ run, history }] : [];
  });
  const names = distinct(shown.map(({ run }) => run.name));
  const lines = shown.map(({ history }, at) => {
    const every = Math.max(1, Math.ceil(history.x.length / MOST_POINTS));
    const kept = [...history.x.keys()].filter(place => place % every === 0);
    const of = (line: Float64Array) =>
      `[${kept.map(place => number(line[place])).join(', ')}]`;
    return `    ${text(names[at])}: (${of(history.x)}, ${of(history.y)}),`;
  });
  const label =
    x === 'step' ? 'step' : x === 'time' ? 'time' : 'seconds since the start';
  return [
    '# As shown in GenOps Lab. Long histories have only the drawn points.',
    'import matplotlib.pyplot as plt',
    ...(x === 'time' ? ['import pandas as pd'] : []),
    '',
    'nan, inf = float("nan"), float("inf")',
    'curves = {',
    ...lines,
    '}',
    '',
    'fig, ax = plt.subplots(figsize=(8, 4))',
    'for name, (x, y) in curves.items():',
    `    ax.plot(${x === 'time' ? 'pd.to_datetime(x, unit="s", utc=True)' : 'x'}, y, label=name)`,
    ...(card.logX && x !== 'time' ? ['ax.set_xscale("log")'] : []),
    ...(card.logY ? ['ax.set_yscale("log")'] : []),
    `ax.set(xlabel=${text(label)}, ylabel=${text(card.metric)}${smoothed ? `, title=${text(smoothed)}` : ''})`,
    'if len(curves) <= 20:',
    '    ax.legend(fontsize="small")',
    'plt.show()',
    ''
  ].join('\n');
}

/** Return the code of a card of runs' values. */
export function rowsCode(
  card: Exclude<ICard, { kind: 'curves' } | { kind: 'importance' }>,
  columns: readonly string[],
  rows: IRows
): string {
  const count = Math.min(rows.ids.length, MOST_ROWS);
  const data = columns.map(column => {
    const { kind, numbers } = axisValues(column, rows);
    const values = rows.columns.get(column) ?? [];
    const written = Array.from({ length: count }, (_, at) =>
      kind === 'words' ? text(String(values[at] ?? '')) : number(numbers[at])
    );
    return `    ${text(column)}: [${written.join(', ')}],`;
  });
  return [
    `# As shown in GenOps Lab: ${count.toLocaleString('en')} runs.`,
    'import matplotlib.pyplot as plt',
    'import pandas as pd',
    '',
    'nan, inf = float("nan"), float("inf")',
    'runs = pd.DataFrame({',
    ...data,
    '})',
    '',
    ...drawing(card),
    'plt.show()',
    ''
  ].join('\n');
}

function drawing(
  card: Exclude<ICard, { kind: 'curves' } | { kind: 'importance' }>
): string[] {
  const column = (name: string) => `runs[${text(name)}]`;
  const codes = (name: string) =>
    `${column(name)} if pd.api.types.is_numeric_dtype(${column(name)}) else ${column(name)}.astype("category").cat.codes`;
  switch (card.kind) {
    case 'scatter':
      return [
        'fig, ax = plt.subplots(figsize=(7, 5))',
        ...(card.color ? [`color = ${codes(card.color)}`] : []),
        `points = ax.scatter(${column(card.x)}, ${column(card.y)}${card.color ? ', c=color' : ''}, s=16)`,
        ...(card.color
          ? [`fig.colorbar(points, label=${text(card.color)})`]
          : []),
        ...(card.logX ? ['ax.set_xscale("log")'] : []),
        ...(card.logY ? ['ax.set_yscale("log")'] : []),
        `ax.set(xlabel=${text(card.x)}, ylabel=${text(card.y)})`
      ];
    case 'bar':
      return card.by
        ? [
            `groups = runs.groupby(${text(card.by)})[${text(card.value)}]`,
            `student = [${STUDENT.join(', ')}]  # t for 95 %, by degrees of freedom`,
            't = groups.count().map(lambda n: student[n - 2] if 2 <= n < len(student) + 2 else 1.96)',
            'means, errors = groups.mean(), t * groups.sem()',
            'fig, ax = plt.subplots(figsize=(7, max(2, 0.3 * len(means))))',
            'ax.barh(means.index.astype(str), means, xerr=errors.fillna(0))',
            `ax.set(xlabel=${text(`mean of ${card.value}, 95 %`)}, ylabel=${text(card.by)})`
          ]
        : [
            'fig, ax = plt.subplots(figsize=(7, 4))',
            `ax.bar(range(len(runs)), ${column(card.value)})`,
            `ax.set(xlabel="run", ylabel=${text(card.value)})`
          ];
    case 'parallel':
      return [
        'numbers = runs.apply(lambda c: c if pd.api.types.is_numeric_dtype(c) else c.astype("category").cat.codes)',
        'share = (numbers - numbers.min()) / (numbers.max() - numbers.min())',
        'fig, ax = plt.subplots(figsize=(9, 4))',
        'for _, run in share.iterrows():',
        '    color = run.iloc[-1] if run.iloc[-1] == run.iloc[-1] else 0.5',
        '    ax.plot(range(len(run)), run, color=plt.cm.viridis(color), alpha=0.5)',
        'ax.set_xticks(range(len(numbers.columns)), numbers.columns, rotation=20)',
        'for place, name in enumerate(numbers.columns):',
        '    ax.text(place, 1.03, f"{numbers[name].max():.4g}", ha="center", fontsize=8)',
        '    ax.text(place, -0.08, f"{numbers[name].min():.4g}", ha="center", fontsize=8)',
        'ax.set_yticks([])'
      ];
  }
}

/** Return the code of a parameter importance card. */
export function importanceCode(found: IImportance): string {
  return [
    `# As shown in GenOps Lab: epsilon squared (Kruskal-Wallis) of each parameter alone, in ${found.runs} runs.`,
    'import matplotlib.pyplot as plt',
    '',
    'importance = {',
    ...found.parameters
      .slice(0, 20)
      .map(each => `    ${text(each.parameter)}: ${number(each.importance)},`),
    '}',
    '',
    'fig, ax = plt.subplots(figsize=(7, max(2, 0.3 * len(importance))))',
    'ax.barh(list(importance)[::-1], list(importance.values())[::-1])',
    `ax.set(xlabel=${text(`share of the rank variance of ${found.metric}, each parameter alone`)}, xlim=(0, 1))`,
    'plt.show()',
    ''
  ].join('\n');
}

function number(value: number): string {
  return Number.isNaN(value)
    ? 'nan'
    : value === Infinity
      ? 'inf'
      : value === -Infinity
        ? '-inf'
        : String(Number(value.toPrecision(8)));
}

/** JSON's strings are also Python's. */
function text(value: string): string {
  return JSON.stringify(value);
}

function distinct(names: readonly string[]): string[] {
  const used = new Map<string, number>();
  return names.map(name => {
    const count = (used.get(name) ?? 0) + 1;
    used.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  });
}
