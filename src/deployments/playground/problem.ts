/** What went wrong with a request, from the answer in whichever form it has. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { components } from '../../api/generated';

import type { IFields, IInterface } from './body';
import { valueOf } from './body';

export type IAnswer = components['schemas']['TryAnswer'];

export interface IProblem {
  message: string;
  hint: string;
  /** What is wrong with a field, by its name. */
  fields: Readonly<Record<string, string>>;
}

/** The problem that an answer tells; `shown` and `fields` are those of a form, if one was sent. */
export function problemOf(
  answer: Pick<IAnswer, 'status' | 'body' | 'retry_after_s'>,
  trans: TranslationBundle,
  form?: { shown: IInterface; fields: IFields }
): IProblem {
  const told = messageOf(answer.body);
  const message =
    told ||
    trans.__('The deployment answered with HTTP %1.', String(answer.status));
  const fields: Record<string, string> = {};
  for (const { name, datatype } of form?.shown.inputs ?? []) {
    const text = form!.fields[name] ?? '';
    const wrong =
      answer.status < 500 ? valueProblem(text, datatype, trans) : '';
    if (wrong) {
      fields[name] = wrong;
    } else if (names(message, name)) {
      fields[name] = trans.__('The message names this field.');
    }
  }
  return {
    message,
    hint: hintOf(answer, Object.keys(fields).length > 0, trans),
    fields
  };
}

/** What is wrong with the text of a field; empty if it is a value of the datatype, or empty. */
export function valueProblem(
  text: string,
  datatype: string,
  trans: TranslationBundle
): string {
  const value = valueOf(text, datatype);
  if (datatype === 'BYTES' || value === null || typeof value === 'boolean') {
    return '';
  }
  if (typeof value !== 'number') {
    return trans.__('“%1” is no number.', text);
  }
  return datatype.startsWith('FP') || Number.isInteger(value)
    ? ''
    : trans.__('%1 is no whole number.', text);
}

/** The message of MLflow, the gateway, an engine or the Open Inference Protocol; else a short text itself. */
function messageOf(body: string): string {
  let content: unknown;
  try {
    content = JSON.parse(body);
  } catch {
    return body.trim().startsWith('<') ? '' : body.trim().slice(0, 1000);
  }
  for (const each of [member(content, 'error'), content]) {
    const told =
      typeof each === 'string'
        ? each
        : (member(each, 'message') ?? member(each, 'detail'));
    if (typeof told === 'string' && told) {
      return told.trim();
    }
  }
  return '';
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function names(message: string, field: string): boolean {
  return [`'${field}'`, `"${field}"`, `column ${field} `].some(each =>
    message.includes(each)
  );
}

function hintOf(
  { status, retry_after_s }: Pick<IAnswer, 'status' | 'retry_after_s'>,
  marked: boolean,
  trans: TranslationBundle
): string {
  if (retry_after_s) {
    return trans._n(
      'Try again in %1 second.',
      'Try again in %1 seconds.',
      retry_after_s
    );
  }
  if (status === 429) {
    return trans.__('Too many requests are under way. Try again later.');
  }
  if (status === 404) {
    return trans.__('Check the path: this deployment does not answer there.');
  }
  if (status < 500) {
    return marked
      ? trans.__('Change the marked field and send the request again.')
      : trans.__('Change the request and send it again.');
  }
  return trans.__(
    'The log in the details of the deployment has the whole error.'
  );
}
