/** Model type and drawing helpers that the inline views share. */

/** The part of anywidget's model that is used. */
export interface IModel<State> {
  get<K extends keyof State>(name: K): State[K] | undefined;
  on(event: string, listener: () => void): void;
  off(event: string, listener: () => void): void;
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text?: string
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (className) {
    node.className = className;
  }
  if (text !== undefined) {
    node.textContent = text;
  }
  return node;
}

/**
 * Draw now, and once a frame after a change of any of the fields.
 *
 * @returns a function that stops this.
 */
export function follow<State>(
  model: IModel<State>,
  fields: (keyof State & string)[],
  draw: () => void
): () => void {
  let frame = 0;
  const schedule = () => {
    if (frame === 0) {
      frame = requestAnimationFrame(() => {
        frame = 0;
        draw();
      });
    }
  };
  fields.forEach(field => model.on(`change:${field}`, schedule));
  draw();
  return () => {
    fields.forEach(field => model.off(`change:${field}`, schedule));
    cancelAnimationFrame(frame);
  };
}

export type Tone = 'busy' | 'good' | 'bad' | 'still';

/** Shapes differ too: colour only repeats what the word says. */
const SHAPES: Record<Tone, string> = {
  busy: '<path d="M5 1a4 4 0 1 0 4 4H7.600A2.600 2.600 0 1 1 5 2.400z"/>',
  good: '<circle cx="5" cy="5" r="4"/>',
  bad: '<path d="M2.300 1 5 3.700 7.700 1 9 2.300 6.300 5 9 7.700 7.700 9 5 6.300 2.300 9 1 7.700 3.700 5 1 2.300z"/>',
  still: '<path d="M1.500 1.500h7v7h-7z"/>'
};

/** A state as a word with its shape; screen readers announce changes. */
export class Badge {
  constructor() {
    this.node.setAttribute('role', 'status');
  }

  readonly node = make('span', 'gol-view-badge');

  set(word: string, tone: Tone): void {
    if (this.node.textContent === word && this.node.dataset.tone === tone) {
      return;
    }
    this.node.dataset.tone = tone;
    this.node.innerHTML = `<svg viewBox="0 0 10 10" aria-hidden="true">${SHAPES[tone]}</svg>`;
    this.node.append(make('span', '', word));
  }
}
