/**
 * The media type of a card: its first state, and how its output is found again.
 */
export const MIME = 'application/vnd.genops.card+json';

const VIEWS = ['run', 'sweep', 'profile', 'deployment'] as const;

export type CardView = (typeof VIEWS)[number];

/**
 * A card in an output, as the kernel writes it (`genops_lab/runtime/live.py`).
 */
export interface ICard {
  readonly view: CardView;
  /** The comm over which the kernel sends changes. */
  readonly comm_id: string;
  readonly display_id: string;
  readonly state: Readonly<Record<string, unknown>>;
}

/**
 * Return the card in a display's data; null without one, or for a later
 * version's card.
 */
export function cardOf(data: unknown): ICard | null {
  const found = (data as Record<string, unknown> | undefined)?.[MIME];
  const { view, comm_id, display_id, state } = (found ?? {}) as Partial<ICard>;
  return view &&
    VIEWS.includes(view) &&
    typeof comm_id === 'string' &&
    typeof display_id === 'string' &&
    typeof state === 'object' &&
    state !== null
    ? { view, comm_id, display_id, state }
    : null;
}
