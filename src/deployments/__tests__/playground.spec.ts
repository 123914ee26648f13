import { trans } from '../../tasks/__tests__/support';
import {
  answerRows,
  asCurl,
  asPython,
  bodyOf,
  firstBody,
  firstFields,
  pictureShape,
  pictureTensor,
  valueOf
} from '../playground/body';
import type { IInterface } from '../playground/body';
import { problemOf } from '../playground/problem';

const COLUMNS: IInterface = {
  name: 'iris',
  version: '1',
  kind: 'columns',
  inputs: [
    { name: 'a', datatype: 'FP64', shape: [-1] },
    { name: 'b', datatype: 'INT64', shape: [-1] },
    { name: 'c', datatype: 'BYTES', shape: [-1] },
    { name: 'd', datatype: 'BOOL', shape: [-1] }
  ],
  outputs: [],
  params: {},
  path: '/invocations',
  example: ''
};

function tensors(...shape: number[]): IInterface {
  return {
    ...COLUMNS,
    kind: 'tensors',
    inputs: [{ name: 'x', datatype: 'FP32', shape }]
  };
}

describe('the body of a request', () => {
  it('has the values of the fields in their types', () => {
    const fields = { a: '1.5', b: '2', c: '3', d: 'true' };
    expect(JSON.parse(bodyOf(COLUMNS, fields))).toEqual({
      dataframe_split: {
        columns: ['a', 'b', 'c', 'd'],
        data: [[1.5, 2, '3', true]]
      }
    });
  });

  it('gives an empty number as null and leaves what is no number to the model', () => {
    expect(valueOf(' ', 'FP64')).toBeNull();
    expect(valueOf('many', 'INT64')).toBe('many');
    expect(valueOf('', 'BYTES')).toBe('');
    expect(valueOf('1e999', 'FP64')).toBe('1e999');
  });

  it.each([
    [
      '{"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1.5], [0, 0]]}}'
    ],
    ['{"inputs": [{"a": 1.5, "b": 2}]}'],
    ['{"inputs": {"a": [1.5, 0], "b": [2, 0]}}']
  ])('begins with the first row of the example %s', example => {
    const fields = firstFields({ ...COLUMNS, example });
    expect(fields).toEqual({ a: '1.5', b: '2', c: '', d: 'false' });
    expect(firstBody({ ...COLUMNS, example })).toBe(example);
  });

  it('begins without an example with empty fields and zeros', () => {
    expect(firstFields({ ...COLUMNS, example: '[1' })).toEqual({
      a: '',
      b: '',
      c: '',
      d: 'false'
    });
    expect(JSON.parse(firstBody(tensors(-1, 2, 3)))).toEqual({
      inputs: [
        [
          [0, 0, 0],
          [0, 0, 0]
        ]
      ]
    });
  });
});

describe('a picture', () => {
  it('is taken where the input is one tensor of pixels', () => {
    expect(pictureShape(tensors(-1, 8, 6, 3))).toEqual({
      height: 8,
      width: 6,
      channels: 3,
      last: true
    });
    expect(pictureShape(tensors(-1, 1, 8, 6))).toEqual({
      height: 8,
      width: 6,
      channels: 1,
      last: false
    });
    expect(pictureShape(tensors(-1, 8, 6))).toBeUndefined();
    expect(pictureShape(tensors(4, 8, 6, 3))).toBeUndefined();
    expect(pictureShape(COLUMNS)).toBeUndefined();
  });

  it('becomes a tensor with the channels where the model has them', () => {
    // Two pixels: red, then white.
    const pixels = [255, 0, 0, 255, 255, 255, 255, 255];
    const size = { height: 1, width: 2 };
    expect(
      pictureTensor(pixels, size, { channels: 3, last: true }, 'UINT8')
    ).toEqual([
      [
        [
          [255, 0, 0],
          [255, 255, 255]
        ]
      ]
    ]);
    expect(
      pictureTensor(pixels, size, { channels: 3, last: false }, 'FP32')
    ).toEqual([[[[1, 1]], [[0, 1]], [[0, 1]]]]);
    expect(
      pictureTensor(pixels, size, { channels: 1, last: true }, 'FP32')
    ).toEqual([[[[0.299], [1]]]]);
  });
});

describe('an answer', () => {
  it('is a table where it has rows', () => {
    expect(answerRows('{"predictions": [1, "x"]}')).toEqual({
      columns: ['prediction'],
      rows: [['1'], ['x']]
    });
    expect(answerRows('{"predictions": [{"a": 1, "b": "x"}]}')).toEqual({
      columns: ['a', 'b'],
      rows: [['1', 'x']]
    });
    expect(answerRows('{"predictions": [[0.1, 0.9]]}')).toEqual({
      columns: ['0', '1'],
      rows: [['0.1', '0.9']]
    });
  });

  it.each(['no JSON', '{"predictions": []}', '{"predictions": [[[1]]]}', '{}'])(
    'is no table: %s',
    text => expect(answerRows(text)).toBeUndefined()
  );
});

describe('the code of a request', () => {
  const body = '{\n "inputs": ["it\'s", "\\"q\\"", true]\n}';

  it('reads the key from the environment', () => {
    for (const code of [asPython('http://h:1/d', body), asCurl('u', body)]) {
      expect(code).toContain('DEPLOYMENT_KEY');
    }
    expect(asPython('http://h:1/d', body)).toContain(
      '"http://h:1/d/invocations"'
    );
  });

  it('quotes the body for the shell and for Python', () => {
    expect(asCurl('u', body)).toContain(
      `-d '{"inputs":["it'\\''s","\\"q\\"",true]}'`
    );
    expect(asPython('u', body)).toContain(
      'json.loads("{\\"inputs\\":[\\"it\'s\\",\\"\\\\\\"q\\\\\\"\\",true]}")'
    );
  });
});

describe('what went wrong with a request', () => {
  const problem = (status: number, body: unknown, retry_after_s = 0) =>
    problemOf({ status, body: JSON.stringify(body), retry_after_s }, trans, {
      shown: COLUMNS,
      fields: { a: '1.5', b: '2.5', c: 'x', d: 'true' }
    });

  it.each([
    [{ error_code: 'BAD_REQUEST', message: 'told' }],
    [{ error: { message: 'told', type: 'invalid_request_error' } }],
    [{ error: 'told' }],
    [{ detail: 'told' }]
  ])('is the message of %j', body => {
    expect(problem(400, body).message).toBe('told');
  });

  it('names the wrong fields: by their texts and by the message', () => {
    const body = { message: "Failed to convert column 'c' to long" };
    const { fields, hint } = problem(400, body);
    expect(Object.keys(fields)).toEqual(['b', 'c']);
    expect(fields.b).toBe('2.5 is no whole number.');
    expect(hint).toContain('marked field');
  });

  it('says when to try again', () => {
    expect(problem(429, { message: 'slow down' }, 12).hint).toBe(
      'Try again in 12 seconds.'
    );
  });

  it('is told for a page of a proxy too', () => {
    const answer = { status: 502, body: '<html>', retry_after_s: 0 };
    expect(problemOf(answer, trans).message).toContain('502');
  });
});
