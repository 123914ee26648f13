/** Makes links to runs for users. */
import type { IRunLinks } from './service';

const LINKED = /[?&]genops-run=([A-Za-z0-9][\w-]{0,63})(?=&|#|$)/;

/** Matches an address that names a run to open. */
export const LINKED_RUN = LINKED;

/** The origin of this page. */
export interface IPlace {
  /** Of the server, absolute, with a slash at its end. */
  baseUrl: string;
  /** Opens each user's own server, absolute; empty without a hub. */
  shareUrl: string;
}

/** A link that can be copied; the first one is the best to give to others. */
export interface IShownLink {
  kind: 'hub' | 'mlflow' | 'lab';
  url: string;
}

/** Return the links of a run, the best one to give to others first. */
export function shownLinks(links: IRunLinks, place: IPlace): IShownLink[] {
  const shown: IShownLink[] = [];
  if (place.shareUrl) {
    shown.push({
      kind: 'hub',
      url: `${place.shareUrl.replace(/\/$/, '')}/${links.lab}`
    });
  }
  if (links.mlflow) {
    shown.push({ kind: 'mlflow', url: links.mlflow });
  }
  const own: IShownLink = { kind: 'lab', url: place.baseUrl + links.lab };
  // A run that only its owner can see opens best in the owner's own Lab.
  return links.shared ? [...shown, own] : [own, ...shown];
}

/** Return the run that an address names; null for none. */
export function linkedRun(request: string): string | null {
  return LINKED.exec(request)?.[1] ?? null;
}

/**
 * Return the address without the run, so that a reload does not open it again.
 */
export function withoutRun(request: string): string {
  const [path, hash] = request.split(/(?=#)/);
  const [base, query = ''] = path.split('?');
  const rest = query
    .split('&')
    .filter(part => part && !part.startsWith('genops-run='));
  return base + (rest.length > 0 ? `?${rest.join('&')}` : '') + (hash ?? '');
}
