import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../core';

import type {
  IEnd,
  IMessage,
  INewChat,
  IPart,
  ISettings
} from './conversation';
import { FIRST_SETTINGS, NUMBERS, chatOf, isSetting } from './conversation';
import type { IProblem } from './problem';
import { problemOf } from './problem';

/** A message on the page. */
export interface ITurn extends IMessage {
  reasoning?: string;
  /** How the answer came; undefined for a message of the person, and while the answer comes. */
  told?: ITold;
}

/** The figures of an answer. */
export interface ITold {
  /** Milliseconds until the first part; null if there was none. */
  first: number | null;
  /** Milliseconds until the end. */
  ms: number;
  end?: IEnd;
  /** Whether the person ended it. */
  stopped: boolean;
}

/** A request of this page: the conversation that it led to. */
export interface IExchange {
  number: number;
  at: Date;
  settings: ISettings;
  turns: readonly ITurn[];
  told: ITold;
}

export interface IChat {
  settings: ISettings;
  turns: readonly ITurn[];
  draft: string;
  busy: boolean;
  problem?: IProblem;
  history: readonly IExchange[];
  /** Number of the request whose conversation is shown. */
  selected: number;
}

const KEPT = 50;

/** A conversation with a language model. Its answer is shown as it arrives, and ends when the person stops it. */
export class ChatModel {
  constructor(
    private _ask: (chat: INewChat, signal: AbortSignal) => AsyncIterable<IPart>,
    private _trans: TranslationBundle
  ) {}

  get state(): IChat {
    return this._state;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  set(change: Partial<IChat>): void {
    this._state = { ...this._state, ...change };
    this._changed.emit();
  }

  /** The names of the settings whose texts are no values. */
  get wrong(): string[] {
    const { settings } = this._state;
    const names = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[];
    return names.filter(name => !isSetting(name, settings[name]));
  }

  /** The request that would be sent now, with the draft. */
  get request(): INewChat {
    const { draft, turns, settings } = this._state;
    const messages = turns.map(({ role, content }) => ({ role, content }));
    return chatOf(
      settings,
      draft.trim() ? [...messages, { role: 'user', content: draft }] : messages
    );
  }

  /** Send the draft. */
  async send(): Promise<void> {
    const { draft, turns, busy } = this._state;
    if (draft.trim() && !busy && this.wrong.length === 0) {
      await this._answer([...turns, { role: 'user', content: draft }], draft);
    }
  }

  /** Ask again for the last answer. */
  async again(): Promise<void> {
    const { turns, busy } = this._state;
    if (!busy && this.wrong.length === 0) {
      const last = turns[turns.length - 1];
      await this._answer(
        last?.role === 'assistant' ? turns.slice(0, -1) : turns,
        ''
      );
    }
  }

  /** End the answer that comes. What came is kept. */
  stop(): void {
    this._abort?.abort();
  }

  clear(): void {
    this.stop();
    this.set({ turns: [], problem: undefined, selected: 0 });
  }

  /** Show the conversation of an earlier request, with its settings. */
  open({ number, settings, turns }: IExchange): void {
    if (!this._state.busy) {
      this.set({ settings, turns, selected: number, problem: undefined });
    }
  }

  dispose(): void {
    this.stop();
    Signal.clearData(this);
  }

  private async _answer(asked: readonly ITurn[], draft: string): Promise<void> {
    const before = this._state.turns;
    const abort = (this._abort = new AbortController());
    const began = performance.now();
    const { settings } = this._state;
    let first: number | null = null;
    let ms = 0;
    let end: IEnd | undefined;
    let turn: ITurn = { role: 'assistant', content: '' };
    this.set({
      turns: [...asked, turn],
      draft: draft ? '' : this._state.draft,
      busy: true,
      problem: undefined
    });
    let problem: IProblem | undefined;
    try {
      const messages = asked.map(({ role, content }) => ({ role, content }));
      const chat = chatOf(settings, messages);
      for await (const part of this._ask(chat, abort.signal)) {
        ms = part.ms;
        end = part.end ?? end;
        if (part.refused) {
          problem = problemOf(part.refused, this._trans);
        } else if (part.text || part.reasoning) {
          first ??= ms;
          turn = {
            ...turn,
            content: turn.content + part.text,
            reasoning: (turn.reasoning ?? '') + part.reasoning
          };
          this.set({ turns: [...asked, turn] });
        }
      }
    } catch (reason) {
      if (!abort.signal.aborted) {
        const { message, hint } = ApiError.from(reason, this._trans);
        problem = { message, hint, fields: {} };
      }
    }
    const stopped = abort.signal.aborted;
    if (stopped) {
      ms = performance.now() - began;
    }
    if (first === null && !end) {
      // Nothing came: the message goes back into its field.
      this.set({
        turns: before,
        draft: draft || this._state.draft,
        busy: false,
        problem
      });
      return;
    }
    const told = { first, ms, end, stopped };
    const turns = [...asked, { ...turn, told }];
    const { history } = this._state;
    const number = (history[0]?.number ?? 0) + 1;
    const exchange = { number, at: new Date(), settings, turns, told };
    this.set({
      turns,
      busy: false,
      problem,
      history: [exchange, ...history].slice(0, KEPT),
      selected: number
    });
  }

  private _state: IChat = {
    settings: FIRST_SETTINGS,
    turns: [],
    draft: '',
    busy: false,
    history: [],
    selected: 0
  };
  private _abort?: AbortController;
  private _changed = new Signal<this, void>(this);
}
