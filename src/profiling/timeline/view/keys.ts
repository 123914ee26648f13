import type { TimelineModel } from '../model';
import { backward, onward } from '../flow-links';

const PAN = 0.12;
const ZOOM = 0.75;
const SCROLL_PX = 51;

function follow(model: TimelineModel, way: typeof onward): void {
  const next = model.details && way(model.details);
  if (next) {
    void model.select(next.slice, true);
  }
}

/**
 * Run the action of a key; false if it has none. Letters as in other timelines:
 * W and S zoom, A and D pan.
 */
export function pressed(model: TimelineModel, event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return false;
  }
  const { width } = model.view;
  const { details } = model;
  if (event.shiftKey && event.key.startsWith('Arrow')) {
    const around = details?.around ?? [];
    const next = {
      ArrowLeft: details?.previous,
      ArrowRight: details?.next,
      ArrowUp: around[around.length - 1],
      ArrowDown: details?.inside
    }[event.key];
    if (next) {
      void model.select(next.slice, true);
    } else if (!details) {
      void model.selectFirst();
    }
    return true;
  }
  const act = {
    w: () => model.zoom(ZOOM),
    s: () => model.zoom(1 / ZOOM),
    a: () => model.pan(-PAN * width),
    d: () => model.pan(PAN * width),
    ArrowLeft: () => model.pan(-PAN * width),
    ArrowRight: () => model.pan(PAN * width),
    ArrowUp: () => model.scrollTo(model.scroll - SCROLL_PX),
    ArrowDown: () => model.scrollTo(model.scroll + SCROLL_PX),
    '+': () => model.zoom(ZOOM),
    '-': () => model.zoom(1 / ZOOM),
    '0': () => model.showAll(),
    Home: () => model.showAll(),
    f: () => details && model.fit(details.slice),
    g: () => follow(model, event.shiftKey ? backward : onward),
    p: () => model.openPerfetto(),
    Escape: () => model.clear()
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  act?.();
  return act !== undefined;
}
