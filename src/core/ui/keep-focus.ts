import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';

const FOCUSABLE =
  'button, input, select, textarea, a[href], summary, [tabindex="0"]';

/** Where an element stood that had the focus: its ancestors from the inside, and its place in each. */
interface IFocused {
  readonly element: Element;
  readonly ancestors: readonly { element: Element; place: number }[];
}

/**
 * Keep the focus inside `root` when the focused element disappears or is disabled, as a
 * button that its own press replaces: the page would start from its beginning. The focus
 * goes to the nearest control, and back when the element is enabled again.
 */
export function keepFocus(root: HTMLElement): IDisposable {
  let focused: IFocused | null = null;
  let disabled: HTMLElement | null = null;
  let moving = false;

  const onFocus = ({ target }: FocusEvent) => {
    if (target instanceof Element && target !== root) {
      focused = { element: target, ancestors: ancestorsOf(target, root) };
      disabled = moving ? disabled : null;
    }
  };
  const onBlur = ({ target }: FocusEvent) => {
    // The browser tells this also while the element is being removed: look afterwards.
    queueMicrotask(() => {
      if (focused?.element === target && isUsable(focused.element)) {
        focused = null;
      }
    });
  };
  const move = (to: HTMLElement) => {
    moving = true;
    to.focus({ preventScroll: true });
    moving = false;
  };
  const check = () => {
    if (disabled && isUsable(disabled) && root.contains(focusedNow())) {
      move(disabled);
      disabled = null;
    }
    if (!focused || isUsable(focused.element)) {
      return;
    }
    const lost = focused;
    focused = null;
    const now = focusedNow();
    if (now && now !== document.body && now !== lost.element) {
      return;
    }
    if (lost.element.isConnected && lost.element instanceof HTMLElement) {
      disabled = lost.element;
    }
    move(nearest(lost) ?? root);
  };

  const observer = new MutationObserver(check);
  observer.observe(root, {
    subtree: true,
    childList: true,
    attributeFilter: ['disabled']
  });
  root.addEventListener('focusin', onFocus);
  root.addEventListener('focusout', onBlur);
  return new DisposableDelegate(() => {
    observer.disconnect();
    root.removeEventListener('focusin', onFocus);
    root.removeEventListener('focusout', onBlur);
  });
}

/**
 * Remember where the focus is, as before a dialog opens.
 *
 * @returns gives the focus to the nearest control when the element has gone meanwhile and
 * nothing else has the focus.
 */
export function rememberFocus(): () => void {
  const element = focusedNow();
  const ancestors = element ? ancestorsOf(element, document.body) : [];
  return () => {
    const now = focusedNow();
    if (element && !isUsable(element) && (!now || now === document.body)) {
      nearest({ element, ancestors })?.focus({ preventScroll: true });
    }
  };
}

function focusedNow(): Element | null {
  return document.activeElement;
}

function isUsable(element: Element): boolean {
  return element.isConnected && !element.matches(':disabled');
}

function controlsIn(element: Element): HTMLElement[] {
  return Array.from(element.querySelectorAll<HTMLElement>(FOCUSABLE));
}

function ancestorsOf(element: Element, root: Element): IFocused['ancestors'] {
  const found: { element: Element; place: number }[] = [];
  let each: Element | null = element;
  while (each && each !== root) {
    each = each.parentElement;
    if (each) {
      found.push({
        element: each,
        place: controlsIn(each).indexOf(element as HTMLElement)
      });
    }
  }
  return found;
}

/** The control that took the place of a lost one in the innermost element that still has any. */
function nearest({ ancestors }: IFocused): HTMLElement | undefined {
  for (const { element, place } of ancestors) {
    const usable = element.isConnected
      ? controlsIn(element).filter(
          each => isUsable(each) && each.getClientRects().length > 0
        )
      : [];
    if (usable.length > 0) {
      return usable[Math.min(Math.max(place, 0), usable.length - 1)];
    }
  }
  return undefined;
}
