import type { Event } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../../core';
import { GenOpsApi, GenOpsEvents } from '../../core';
import { fakeLive } from '../../core/__tests__/fake-socket';
import type { Kind } from '../../core/events';

export const trans = nullTranslator.load('genops_lab');

/** What the server answers, by "METHOD /path"; a function sees the request's body and query. */
export type Answers = Record<
  string,
  unknown | ((body: unknown, query: Record<string, string>) => unknown)
>;

/** The only page of a list. */
export function page<T>(items: T[]): { items: T[]; next: string } {
  return { items, next: '' };
}

/** A list that is answered in pages of `size`, each behind the item whose place `after` names. */
export function paged<T>(
  items: () => T[],
  size: number
): (body: unknown, query: Record<string, string>) => unknown {
  return (_, { after }) => {
    const begin = Number(after ?? 0);
    const end = begin + size;
    const next = end < items().length ? String(end) : '';
    return { items: items().slice(begin, end), next };
  };
}

/** An answer that is an error. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly message: string,
    readonly hint = '',
    readonly details: Record<string, unknown> = {}
  ) {}
}

/** The real client, events and live channel over a server that answers from a table. */
export class Bench {
  constructor(readonly answers: Answers) {
    this.core = {
      trans,
      live: fakeLive(),
      events: new GenOpsEvents({
        stream: new Signal<object, Event.Emission>({})
      }),
      api: new GenOpsApi({
        trans,
        serverSettings: ServerConnection.makeSettings({
          baseUrl: 'http://lab.example/',
          fetch: input => this._answer(input as Request)
        })
      })
    };
  }

  readonly core: IGenOpsCore;
  /** "METHOD /path" of each request, in order. */
  readonly calls: string[] = [];
  readonly bodies: unknown[] = [];

  count(call: string): number {
    return this.calls.filter(each => each === call).length;
  }

  /** The query of each such request, in order. */
  asked(call: string): Record<string, string>[] {
    return this._queries.filter((_, at) => this.calls[at] === call);
  }

  /** Tell that something changed. */
  change(kind: Kind, id = ''): void {
    this.core.events.receive({ kind, id, revision: ++this._revision });
  }

  dispose(): void {
    this.core.live.dispose();
    this.core.events.dispose();
  }

  private async _answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const call = `${request.method} ${pathname.replace('/genops/v1', '')}`;
    const text = await request.text();
    const body: unknown = text ? JSON.parse(text) : undefined;
    this.calls.push(call);
    // JupyterLab adds the time, so that nothing is taken from a cache.
    const query = Object.fromEntries(
      [...searchParams].filter(([, value]) => value !== '')
    );
    this._queries.push(query);
    this.bodies.push(body);
    let answer = this.answers[call];
    if (typeof answer === 'function') {
      answer = await (answer as (...given: unknown[]) => unknown)(body, query);
    }
    if (answer === undefined) {
      answer = new Refusal(500, 'unexpected', `no answer for ${call}`);
    }
    if (answer instanceof Refusal) {
      const { status, code, message, hint, details } = answer;
      return new Response(
        JSON.stringify({ error: { code, message, hint, details } }),
        { status }
      );
    }
    return answer === null
      ? new Response(null, { status: 204 })
      : new Response(JSON.stringify(answer), {
          status: 200,
          headers: { 'Content-Type': 'application/json' }
        });
  }

  private _queries: Record<string, string>[] = [];
  private _revision = 0;
}

/** Let requests, renders and coalesced events through. */
export async function settle(ms = 150): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms));
}
