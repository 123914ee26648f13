/** Addresses of runs for people. */
import type { IRunLinks } from './service';

const LINKED = /[?&]genops-run=([A-Za-z0-9][\w-]{0,63})(?=&|#|$)/;

/** Matches an address that names a run to open. */
export const LINKED_RUN = LINKED;

/** Where this page is from. */
export interface IPlace {
  /** Of the server, absolute, with a slash at its end. */
  baseUrl: string;
  /** Opens each user's own server, absolute; empty off a hub. */
  shareUrl: string;
}

/** What can be copied of a run's links; the first is the one to give to others. */
export interface IShownLink {
  kind: 'hub' | 'mlflow' | 'lab';
  url: string;
}

/** The links of a run, the best one to give away first. */
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
  // What only its owner can see opens best in the owner's own Lab.
  return links.shared ? [...shown, own] : [own, ...shown];
}

/** The run that an address names; null for none. */
export function linkedRun(request: string): string | null {
  return LINKED.exec(request)?.[1] ?? null;
}

/** The address without the run, so that a reload does not open it again. */
export function withoutRun(request: string): string {
  const [path, hash] = request.split(/(?=#)/);
  const [base, query = ''] = path.split('?');
  const rest = query
    .split('&')
    .filter(part => part && !part.startsWith('genops-run='));
  return base + (rest.length > 0 ? `?${rest.join('&')}` : '') + (hash ?? '');
}
