import { Dialog } from '@jupyterlab/apputils';

/**
 * Show a dialog of JupyterLab that has an input. The dialog, and an input without a label,
 * get the title as their name: JupyterLab names neither.
 */
export function titled<T>(
  title: string,
  show: (title: string) => Promise<T>
): Promise<T> {
  const name = (_: unknown, { node }: Dialog<unknown>) => {
    node.setAttribute('aria-label', title);
    if (!node.querySelector('label')) {
      node
        .querySelectorAll('select, input')
        .forEach(each => each.setAttribute('aria-label', title));
    }
  };
  const { widgetAdded } = Dialog.tracker;
  widgetAdded.connect(name, name);
  try {
    return show(title);
  } finally {
    widgetAdded.disconnect(name, name);
  }
}
