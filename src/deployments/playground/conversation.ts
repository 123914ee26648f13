/** A conversation with a language model: its settings, its messages, and the same request as code. */
import type { components } from '../../api/generated';

import { pythonText, shellText } from './body';

export type INewChat = components['schemas']['NewChat'];
export type IMessage = components['schemas']['ChatMessage'];
export type IPart = components['schemas']['ChatPart'];
export type IEnd = components['schemas']['ChatEnd'];

/** The texts of the settings; an empty one is left to the engine. */
export interface ISettings {
  system: string;
  temperature: string;
  top_p: string;
  max_tokens: string;
  seed: string;
  /** One on each line. */
  stop: string;
}

export const FIRST_SETTINGS: ISettings = {
  system: '',
  temperature: '0.7',
  top_p: '',
  max_tokens: '256',
  seed: '',
  stop: ''
};

type NumberName = 'temperature' | 'top_p' | 'max_tokens' | 'seed';

/** The numbers of the settings: the least and most that engines take. */
export const NUMBERS: Readonly<
  Record<NumberName, { least: number; most: number; whole: boolean }>
> = {
  temperature: { least: 0, most: 2, whole: false },
  top_p: { least: 0, most: 1, whole: false },
  max_tokens: { least: 1, most: 1_000_000, whole: true },
  seed: { least: 0, most: 2 ** 31 - 1, whole: true }
};

/** Whether the text of a number is empty or one that engines take. */
export function isSetting(name: NumberName, text: string): boolean {
  const { least, most, whole } = NUMBERS[name];
  const value = Number(text);
  return (
    !text.trim() ||
    (value >= least && value <= most && (!whole || Number.isInteger(value)))
  );
}

/** The request for the next message. */
export function chatOf(
  settings: ISettings,
  messages: readonly IMessage[]
): INewChat {
  const number = (name: NumberName) =>
    settings[name].trim() ? Number(settings[name]) : null;
  const system: IMessage[] = settings.system.trim()
    ? [{ role: 'system', content: settings.system }]
    : [];
  return {
    messages: [...system, ...messages],
    temperature: number('temperature'),
    top_p: number('top_p'),
    max_tokens: number('max_tokens'),
    seed: number('seed'),
    stop: settings.stop.split('\n').filter(line => line)
  };
}

/** What is sent to the engine, without what is left to it. */
function bodyOf(name: string, chat: INewChat): Record<string, unknown> {
  const given = Object.entries(chat).filter(
    ([, value]) =>
      value !== null && !(Array.isArray(value) && value.length === 0)
  );
  return { model: name, ...Object.fromEntries(given) };
}

/** A program for the OpenAI client. JSON without true, false and null is Python too. */
export function asOpenAI(url: string, name: string, chat: INewChat): string {
  const given = Object.entries(bodyOf(name, chat)).map(
    ([key, value]) =>
      `    ${key}=${JSON.stringify(value, null, 4).replace(/\n/g, '\n    ')},`
  );
  return `import os

from openai import OpenAI

client = OpenAI(
    base_url=${pythonText(`${url}/v1`)}, api_key=os.environ["DEPLOYMENT_KEY"]
)
stream = client.chat.completions.create(
${given.join('\n')}
    stream=True,
)
for part in stream:
    if part.choices:
        print(part.choices[0].delta.content or "", end="", flush=True)
`;
}

/** A program that needs Python alone. */
export function asPython(url: string, name: string, chat: INewChat): string {
  return `import json
import os
import urllib.request

body = json.loads(${pythonText(JSON.stringify(bodyOf(name, chat)))})
request = urllib.request.Request(
    ${pythonText(`${url}/v1/chat/completions`)},
    data=json.dumps(body).encode(),
    headers={
        "Authorization": f"Bearer {os.environ['DEPLOYMENT_KEY']}",
        "Content-Type": "application/json",
    },
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["choices"][0]["message"]["content"])
`;
}

/** A curl command that shows the answer as it arrives. */
export function asCurl(url: string, name: string, chat: INewChat): string {
  const body = JSON.stringify({ ...bodyOf(name, chat), stream: true });
  return [
    `curl -sSN ${shellText(`${url}/v1/chat/completions`)}`,
    '-H "Authorization: Bearer $DEPLOYMENT_KEY"',
    `-H ${shellText('Content-Type: application/json')}`,
    `-d ${shellText(body)}`
  ].join(' \\\n  ');
}
