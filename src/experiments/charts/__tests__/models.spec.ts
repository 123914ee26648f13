import { nullTranslator } from '@jupyterlab/translation';

import { asBoard, firstCards } from '../cards';
import {
  conditionText,
  hasCondition,
  quotedColumn,
  withCondition,
  withoutCondition
} from '../conditions';
import { extent } from '../../../core/charts/axes';
import { makeScale } from '../scales';
import { LOOK } from '../../../core/charts/__tests__/support';
import { asSvg } from '../../../core/charts/svg';
import { fileName } from '../../../core/charts/files';
import { merged, unpacked } from '../histories';
import { meanOf } from '../means';
import { curvesCode } from '../notebook-code';
import { curvesPicture } from '../pictures/curves';
import { nearest } from '../pictures/picture';
import { scatterPicture } from '../pictures/scatter';
import { axisValues } from '../rows';
import type { IRunHistory } from '../service';
import { moved } from '../view/plot';

const trans = nullTranslator.load('genops_lab');
function packed(...numbers: number[]): string {
  const bytes = new Uint8Array(Float64Array.from(numbers).buffer);
  return btoa(String.fromCharCode(...bytes));
}

function answer(part: Partial<IRunHistory>): IRunHistory {
  return {
    run_id: 'a',
    mark: 'm',
    from_x: null,
    x: '',
    y: '',
    smooth_x: '',
    smooth_y: '',
    points: 0,
    gaps: 0,
    infinite: 0,
    repeated: 0,
    backwards: 0,
    first: null,
    last: null,
    ...part
  };
}

describe('histories', () => {
  it('come as bytes, with what is no number', () => {
    expect([...unpacked(packed(1.5, NaN, -Infinity))]).toEqual([
      1.5,
      NaN,
      -Infinity
    ]);
  });

  it('go on where the answer begins', () => {
    const first = merged(
      undefined,
      answer({ x: packed(0, 1, 2, 3), y: packed(5, 6, 7, 8), mark: '1' })
    );
    const then = merged(
      first,
      answer({ from_x: 2, x: packed(2, 4), y: packed(7.5, 9), mark: '2' })
    );
    expect([...then.x]).toEqual([0, 1, 2, 4]);
    expect([...then.y]).toEqual([5, 6, 7.5, 9]);
    expect(then.mark).toBe('2');
    const anew = merged(then, answer({ x: packed(9), y: packed(1) }));
    expect([...anew.x]).toEqual([9]);
  });
});

describe('conditions', () => {
  it('are in the language of queries', () => {
    expect(quotedColumn('metrics.val loss')).toBe('metrics.`val loss`');
    expect(quotedColumn('duration')).toBe('duration');
    expect(
      conditionText({ column: 'metrics.a', low: 0.123456, high: 0.98765 })
    ).toBe('metrics.a BETWEEN 0.1234 AND 0.9877');
    expect(
      conditionText({ column: 'params.lr', low: 1.23456e-5, high: 1.23456e-5 })
    ).toBe('params.lr BETWEEN 0.0000123456 AND 0.0000123456');
    expect(
      conditionText({ column: 'metrics.a', low: -0.123456, high: 0 })
    ).toBe('metrics.a BETWEEN -0.1235 AND 0');
    expect(conditionText({ column: 'params.o', among: ["it's", 'b'] })).toBe(
      "params.o IN ('it''s', 'b')"
    );
    expect(conditionText({ column: 'start_time', low: 1.5, high: 2 })).toBe(
      'start_time BETWEEN 1500 AND 2000'
    );
  });

  it('are added to a query and taken away again', () => {
    const [one, two] = ['metrics.a BETWEEN 1 AND 2', "params.o = 'x'"];
    expect(withCondition('', one)).toBe(one);
    expect(withCondition('a > 1 OR b > 2', one)).toBe(
      `(a > 1 OR b > 2) AND ${one}`
    );
    expect(withCondition("params.o = 'a or b'", one)).toBe(
      `params.o = 'a or b' AND ${one}`
    );
    for (const base of ['', 'metrics.b > 1', '(a > 1 OR b > 2)']) {
      const both = withCondition(withCondition(base, one), two);
      expect(hasCondition(both, one) && hasCondition(both, two)).toBe(true);
      expect(withoutCondition(withoutCondition(both, one), two)).toBe(base);
      expect(withoutCondition(withoutCondition(both, two), one)).toBe(base);
    }
    expect(withoutCondition('metrics.b > 1', one)).toBe('metrics.b > 1');
  });
});

describe('cards', () => {
  it('suit the runs: metrics of many runs, what is varied, no system metric', () => {
    const column = (name: string, runs: number) => ({
      column: name,
      kind: 'number' as const,
      runs
    });
    const cards = firstCards(
      [
        column('metrics.loss', 90),
        column('metrics.val_loss', 100),
        column('metrics.rare_accuracy', 3),
        column('metrics.system/gpu', 100)
      ],
      ['params.lr', 'params.model']
    );
    expect(cards.map(({ id }) => id)).toEqual([
      'curves-val_loss',
      'curves-loss',
      'parallel',
      'importance',
      'scatter'
    ]);
    expect(firstCards([], [])).toEqual([]);
  });

  it('are read back, whatever was kept', () => {
    const board = asBoard({
      cards: [
        { kind: 'curves', id: '1', metric: 'loss', logY: true },
        { kind: 'curves', id: '1', metric: 'twice' },
        { kind: 'scatter', id: '2', x: 'params.lr' },
        { kind: 'nonsense', id: '3' },
        null
      ],
      x: 'time',
      most: 7,
      smoothing: { kind: 'ema', amount: 5 }
    });
    expect(board.cards).toEqual([
      { kind: 'curves', id: '1', metric: 'loss', logY: true }
    ]);
    expect(board).toMatchObject({
      x: 'time',
      most: 20,
      smoothing: { kind: 'none' },
      selectedOnly: false
    });
    expect(asBoard(undefined).cards).toBeNull();
    expect(asBoard(JSON.parse(JSON.stringify(board)))).toEqual(board);
  });
});

describe('curves', () => {
  const run = {
    id: 'a',
    name: 'name <a> & "b"',
    color: 'red',
    dash: [],
    strength: 1
  };
  const history = merged(
    undefined,
    answer({
      x: packed(0, 1, 2, 3, 4),
      y: packed(1, NaN, 40, Infinity, -1),
      points: 5,
      gaps: 1,
      infinite: 1,
      backwards: 2,
      first: 0,
      last: 4
    })
  );
  const input = {
    card: { kind: 'curves', id: '1', metric: 'loss', logY: false } as const,
    histories: new Map([['a', history]]),
    runs: [run],
    x: 'step' as const,
    zoom: null,
    smooth: false
  };

  it('tell of gaps, infinities and places that a log axis has not', () => {
    const picture = curvesPicture(input, 400, 200, LOOK, trans);
    expect(picture.summary).toBe('loss of 1 run, from -1 to 40');
    expect(picture.notes.join(' ')).toContain('1 value is NaN');
    expect(picture.notes.join(' ')).toContain('1 value is infinite');
    const words = picture.scene.marks.filter(mark => mark.kind === 'text');
    expect(words.filter(({ text }) => text === 'NaN')).toEqual([
      expect.objectContaining({ color: 'red', clipped: true })
    ]);
    const log = curvesPicture(
      { ...input, card: { ...input.card, logY: true } },
      400,
      200,
      LOOK,
      trans
    );
    expect(log.notes.join(' ')).toContain('leaves out values of 0 and below');
    const over = curvesPicture({ ...input, x: 'time' }, 400, 200, LOOK, trans);
    expect(over.notes.join(' ')).toContain('The clock went back at 2 steps');
  });

  it('have a target for each point, found by the pointer and by keys', () => {
    const picture = curvesPicture(input, 400, 200, LOOK, trans);
    const { targets } = picture;
    expect(targets.x.length).toBe(3);
    const at = nearest(targets, targets.x[1] + 3, targets.y[1] - 2, 10);
    expect(targets.describe(at)).toMatchObject({
      runId: 'a',
      lines: ['Step 2', 'loss 40']
    });
    expect(nearest(targets, -500, 0, 10)).toBe(-1);
    expect(moved(picture, -1, 'ArrowRight')).toBe(0);
    expect(moved(picture, 2, 'ArrowRight')).toBe(2);
    expect(moved(picture, 1, 'ArrowDown')).toBe(1);
    expect(moved(picture, 1, 'x')).toBeNull();
  });

  it('give the zoom of a dragged box', () => {
    const { frame } = curvesPicture(input, 400, 200, LOOK, trans).scene;
    const middle = frame.left + frame.width / 2;
    expect(
      curvesPicture(input, 400, 200, LOOK, trans).picked(
        [middle, 0],
        [9999, 50]
      )
    ).toEqual({ zoom: [2, 4] });
  });

  it('are a well-formed SVG, with nothing of a name taken for markup', () => {
    const { scene } = curvesPicture(input, 400, 200, LOOK, trans);
    const svg = asSvg(scene, LOOK, 'a <script> & "title"\u0000');
    const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml');
    expect(parsed.querySelector('parsererror')).toBeNull();
    expect(parsed.querySelector('title')?.textContent).toBe(
      'a <script> & "title"'
    );
    expect(parsed.querySelectorAll('path').length).toBeGreaterThan(3);
    expect(parsed.querySelector('script')).toBeNull();
  });

  it('are code that Python can read', () => {
    const code = curvesCode(input, '');
    expect(code).toContain('"name <a> & \\"b\\""');
    expect(code).toContain('[1, nan, 40, inf, -1]');
  });
});

describe('values of runs', () => {
  const rows = {
    ids: ['a', 'b', 'c', 'd'],
    columns: new Map<string, (string | number | null)[]>([
      ['params.lr', ['0.1', '1e-3', null, '0.01']],
      ['params.model', ['cnn', 'mlp', 'cnn', null]],
      ['metrics.acc', [0.5, 'NaN', 0.7, 0.9]]
    ]),
    matched: 10
  };

  it('are numbers where all are, else words', () => {
    expect([...axisValues('params.lr', rows).numbers]).toEqual([
      0.1,
      0.001,
      NaN,
      0.01
    ]);
    const model = axisValues('params.model', rows);
    expect(model).toMatchObject({ kind: 'words', words: ['cnn', 'mlp'] });
    expect([...model.numbers]).toEqual([0, 1, 0, NaN]);
  });

  it('are brushed in both directions, and what has no place is told', () => {
    const picture = scatterPicture(
      {
        card: { kind: 'scatter', id: '1', x: 'params.model', y: 'metrics.acc' },
        rows,
        names: rows.ids,
        isSelected: null
      },
      400,
      200,
      LOOK,
      trans
    );
    const { left, top, width, height } = picture.scene.frame;
    expect(
      picture.picked([left, top - 5], [left + width / 3, top + height / 2])
    ).toMatchObject({
      conditions: [
        { column: 'params.model', among: ['cnn'] },
        { column: 'metrics.acc' }
      ]
    });
    expect(picture.picked([0, 0], [400, 200])).toBeNull();
    expect(picture.notes.join(' ')).toContain('2 runs are not shown');
    expect(picture.notes.join(' ')).toContain('The first 4 of 10 runs');
  });
});

describe('figures', () => {
  it('have a mean and its interval', () => {
    // scipy.stats.t.interval(0.95, 3, loc=2.5, scale=scipy.stats.sem([1, 2, 3, 4]))
    const { mean, error } = meanOf([1, 2, 3, 4]);
    expect(mean).toBe(2.5);
    expect(error).toBeCloseTo(2.0543, 3);
    expect(meanOf([7]).error).toBeNaN();
  });

  it('stand on scales', () => {
    expect(extent([[3, NaN, Infinity], [-1]])).toEqual([-1, 3]);
    expect(extent([[0, -2]], true)).toBeNull();
    const log = makeScale('log', [1, 1000], [0, 300]);
    expect(log.at(10)).toBeCloseTo(100);
    expect(log.at(0)).toBeNaN();
    expect(log.from(200)).toBeCloseTo(100);
  });

  it('are saved under names that any system takes', () => {
    expect(fileName('../val/loss: "x" <b>')).toBe('val-loss-x-b');
    expect(fileName('...')).toBe('chart');
  });
});
