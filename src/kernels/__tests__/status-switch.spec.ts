import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';

import { CurrentKernel } from '../current-kernel';
import { StatusItemSwitch } from '../status-switch';

describe('StatusItemSwitch', () => {
  it('shows the item beside a notebook, unless the setting says no', async () => {
    let wanted = true;
    const settings = {
      changed: new Signal<object, void>({}),
      get: () => ({ composite: wanted })
    };
    const currentChanged = new Signal<object, NotebookPanel | null>({});
    const shown = new StatusItemSwitch(
      new CurrentKernel({
        currentWidget: null,
        currentChanged
      } as unknown as INotebookTracker),
      { load: () => Promise.resolve(settings) } as unknown as ISettingRegistry
    );
    const states: boolean[] = [];
    shown.changed.connect(() => states.push(shown.isActive));
    await Promise.resolve();
    expect(shown.isActive).toBe(false);
    currentChanged.emit({
      sessionContext: { kernelChanged: new Signal({}) }
    } as unknown as NotebookPanel);
    expect(shown.isActive).toBe(true);
    wanted = false;
    settings.changed.emit();
    expect(shown.isActive).toBe(false);
    currentChanged.emit(null);
    expect(states).toEqual([false, true, false, false]);
  });
});
