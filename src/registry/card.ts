import type { IDisposable } from '@lumino/disposable';

import type { components } from '../api/generated';
import type { IGenOpsCore } from '../core';
import { Resource } from '../core';

export type ICard = components['schemas']['Card'];
export type ICardSection = components['schemas']['CardSection'];

/** The section that is the YAML block at the top of the card. */
export const METADATA = 'metadata';

/** The card of a version: what is known, with what people wrote. */
export class CardModel implements IDisposable {
  constructor(
    private _core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    readonly name: string,
    readonly version: string
  ) {
    const { api, events, trans } = _core;
    this.card = new Resource<ICard>({
      fetch: signal =>
        api.data(
          api.http.GET('/models/{name}/versions/{version}/card', {
            params: { path: this._path },
            signal
          })
        ),
      isEmpty: () => false,
      events,
      kinds: ['model'],
      trans
    });
  }

  readonly card: Resource<ICard>;

  get visible(): boolean {
    return this.card.visible;
  }
  set visible(value: boolean) {
    this.card.visible = value;
  }

  get isDisposed(): boolean {
    return this.card.isDisposed;
  }

  dispose(): void {
    this.card.dispose();
  }

  /**
   * Write one section, and keep the card. An empty text makes the section anew. `expected` is the digest of the card
   * that was edited. Rejects with an ApiError, also if somebody else changed the card since.
   */
  async write(section: string, text: string, expected: string): Promise<void> {
    const { api } = this._core;
    await api.data(
      api.http.PUT(
        '/models/{name}/versions/{version}/card/sections/{section}',
        {
          params: { path: { ...this._path, section } },
          body: { text, expected }
        }
      )
    );
    await this.card.refresh();
  }

  /** Keep the card that is shown beside the version's files. Rejects with an ApiError. */
  async keep(expected: string): Promise<void> {
    const { api } = this._core;
    await api.data(
      api.http.PUT('/models/{name}/versions/{version}/card', {
        params: { path: this._path },
        body: { text: '', expected }
      })
    );
    await this.card.refresh();
  }

  private get _path(): { name: string; version: string } {
    return { name: this.name, version: this.version };
  }
}

/** A section's text without its heading, which the page shows itself. */
export function bodyOf({ text }: ICardSection): string {
  return text.replace(/^#{1,2}\s[^\n]*\n*/, '');
}
