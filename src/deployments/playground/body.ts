/** Bodies of requests: from the fields of a form, from a picture, and back to code. */
import type { components } from '../../api/generated';

export type IInterface = components['schemas']['DeploymentInterface'];
export type IInput = components['schemas']['DeploymentInput'];

/** The text of each field of a row, by column. */
export type IFields = Readonly<Record<string, string>>;

/** The size of a picture as a tensor; -1 is any. `last`: the channels are the last dimension. */
export interface IPictureShape {
  height: number;
  width: number;
  channels: number;
  last: boolean;
}

const CHANNELS = [1, 3, 4];
/** Pictures of any size are made no larger than this. */
const LARGEST = 512;

/** How a picture is given to the model, undefined if its input is none. */
export function pictureShape({
  kind,
  inputs
}: Pick<IInterface, 'kind' | 'inputs'>): IPictureShape | undefined {
  const [input, more] = inputs ?? [];
  if (kind !== 'tensors' || !input || more || input.shape.length !== 4) {
    return undefined;
  }
  const [rows, second, third, fourth] = input.shape;
  if (rows > 1) {
    return undefined;
  }
  if (CHANNELS.includes(fourth)) {
    return { height: second, width: third, channels: fourth, last: true };
  }
  if (CHANNELS.includes(second)) {
    return { height: third, width: fourth, channels: second, last: false };
  }
  return undefined;
}

/** The value of a field for its datatype; a text that is no such value stays a text, and the model says so. */
export function valueOf(text: string, datatype: string): unknown {
  if (datatype === 'BYTES') {
    return text;
  }
  if (!text.trim()) {
    return null;
  }
  if (datatype === 'BOOL') {
    return text === 'true';
  }
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

/** The fields of an example body, or empty ones. */
export function firstFields(shown: IInterface): IFields {
  const inputs = shown.inputs ?? [];
  const fields = Object.fromEntries(
    inputs.map(({ name, datatype }) => [
      name,
      datatype === 'BOOL' ? 'false' : ''
    ])
  );
  const row = exampleRow(shown.example ?? '');
  for (const { name } of inputs) {
    if (row[name] !== undefined && row[name] !== null) {
      fields[name] = String(row[name]);
    }
  }
  return fields;
}

function exampleRow(example: string): Record<string, unknown> {
  try {
    const body = JSON.parse(example);
    const split = body.dataframe_split;
    if (split) {
      return Object.fromEntries(
        split.columns.map((name: string, at: number) => [
          name,
          split.data[0]?.[at]
        ])
      );
    }
    const { inputs } = body;
    return Array.isArray(inputs)
      ? (inputs[0] ?? {})
      : Object.fromEntries(
          Object.entries(inputs ?? {}).map(([name, values]) => [
            name,
            Array.isArray(values) ? values[0] : values
          ])
        );
  } catch {
    return {}; // an example of another form: the fields begin empty
  }
}

/** The body for a row of fields. */
export function bodyOf(shown: IInterface, fields: IFields): string {
  const inputs = shown.inputs ?? [];
  return JSON.stringify(
    {
      dataframe_split: {
        columns: inputs.map(({ name }) => name),
        data: [
          inputs.map(({ name, datatype }) => valueOf(fields[name], datatype))
        ]
      }
    },
    null,
    1
  );
}

/** The body that the JSON view begins with. */
export function firstBody(shown: IInterface): string {
  if (shown.example) {
    return shown.example;
  }
  if (shown.kind === 'columns') {
    return bodyOf(shown, firstFields(shown));
  }
  const [input] = shown.inputs ?? [];
  return JSON.stringify({ inputs: input ? zeros(input.shape) : [] });
}

/** An array of zeros of a shape, with 1 for any size. */
export function zeros(shape: readonly number[]): unknown {
  const [size, ...rest] = shape;
  return size === undefined
    ? 0
    : Array.from({ length: Math.max(size, 1) }, () => zeros(rest));
}

/** The pixels of a picture (RGBA, rows from the top) as a tensor with one row. Floats are from 0 to 1. */
export function pictureTensor(
  pixels: ArrayLike<number>,
  size: { height: number; width: number },
  shape: Pick<IPictureShape, 'channels' | 'last'>,
  datatype: string
): unknown {
  const { height, width } = size;
  const scale = datatype.startsWith('FP') ? 1 / 255 : 1;
  const at = (y: number, x: number, channel: number) => {
    const from = 4 * (y * width + x);
    const value =
      shape.channels === 1
        ? 0.299 * pixels[from] +
          0.587 * pixels[from + 1] +
          0.114 * pixels[from + 2]
        : pixels[from + channel];
    return scale === 1
      ? Math.round(value)
      : Math.round(value * scale * 1e4) / 1e4;
  };
  const range = (length: number) => Array.from({ length }, (_, each) => each);
  const rows = range(height);
  const columns = range(width);
  const channels = range(shape.channels);
  return shape.last
    ? [rows.map(y => columns.map(x => channels.map(c => at(y, x, c))))]
    : [channels.map(c => rows.map(y => columns.map(x => at(y, x, c))))];
}

/** The body for a picture file, scaled to what the model takes. */
export async function pictureBody(
  file: Blob,
  shape: IPictureShape,
  datatype: string
): Promise<string> {
  const picture = await createImageBitmap(file);
  const shrink = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const width =
    shape.width > 0 ? shape.width : Math.round(picture.width * shrink);
  const height =
    shape.height > 0 ? shape.height : Math.round(picture.height * shrink);
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d')!;
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return JSON.stringify({
    inputs: pictureTensor(data, { height, width }, shape, datatype)
  });
}

/** The rows of an answer as a table, undefined if it has no such form. */
export function answerRows(
  text: string
): { columns: string[]; rows: string[][] } | undefined {
  let predictions: unknown;
  try {
    predictions = JSON.parse(text).predictions;
  } catch {
    return undefined;
  }
  if (!Array.isArray(predictions) || !predictions.length) {
    return undefined;
  }
  const cell = (value: unknown) =>
    typeof value === 'string' ? value : JSON.stringify(value);
  const [first] = predictions;
  if (first && typeof first === 'object' && !Array.isArray(first)) {
    const columns = Object.keys(first);
    return {
      columns,
      rows: predictions.map(each => columns.map(name => cell(each?.[name])))
    };
  }
  if (Array.isArray(first)) {
    if (first.some(each => typeof each === 'object')) {
      return undefined;
    }
    return {
      columns: first.map((_, at) => String(at)),
      rows: predictions.map(each => (each as unknown[]).map(cell))
    };
  }
  return {
    columns: ['prediction'],
    rows: predictions.map(each => [cell(each)])
  };
}

/** A curl command with the body; the key comes from the environment. */
export function asCurl(
  url: string,
  body: string,
  path = '/invocations'
): string {
  return [
    `curl -sS ${shellText(`${url}${path}`)}`,
    '-H "Authorization: Bearer $DEPLOYMENT_KEY"',
    `-H ${shellText('Content-Type: application/json')}`,
    `-d ${shellText(compact(body))}`
  ].join(' \\\n  ');
}

/** A Python program with the body; the key comes from the environment. */
export function asPython(
  url: string,
  body: string,
  path = '/invocations'
): string {
  return `import json
import os
import urllib.request

body = json.loads(${pythonText(compact(body))})
request = urllib.request.Request(
    ${pythonText(`${url}${path}`)},
    data=json.dumps(body).encode(),
    headers={
        "Authorization": f"Bearer {os.environ['DEPLOYMENT_KEY']}",
        "Content-Type": "application/json",
    },
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)${path === '/invocations' ? '["predictions"]' : ''})
`;
}

/** A JSON text is a Python text too, apart from the escapes of slashes that JSON.stringify does not write. */
export function pythonText(text: string): string {
  return JSON.stringify(text);
}

/** A text in single quotes for a shell. */
export function shellText(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}

function compact(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body));
  } catch {
    return body; // what was typed is copied as it is
  }
}
