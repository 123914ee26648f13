import type { IGenOpsPanel } from './tokens';

/** Do something once, when a person first sees the panel. */
export function whenSeen(
  panel: Pick<IGenOpsPanel, 'isSeen' | 'seenChanged'>,
  act: () => void
): void {
  if (panel.isSeen) {
    act();
    return;
  }
  const onSeen = (_: unknown, seen: boolean) => {
    if (seen) {
      panel.seenChanged.disconnect(onSeen);
      act();
    }
  };
  panel.seenChanged.connect(onSeen);
}
