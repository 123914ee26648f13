import { make } from '../cards/views/dom';

interface IView {
  dispose(): void;
}

/** Return a view with its style sheets as anywidget's `render`. */
export function anywidget<Model>(
  view: new (model: Model, el: HTMLElement) => IView,
  styles: string[]
): { render(given: { model: Model; el: HTMLElement }): () => void } {
  return {
    render: ({ model, el }) => {
      el.append(make('style', '', styles.join('\n')));
      const shown = new view(model, el);
      return () => shown.dispose();
    }
  };
}
