import * as React from 'react';

/**
 * Tabs by the ARIA tab list pattern: arrows, Home and End move between the tabs.
 *
 * A view is rendered when its tab is first opened and then kept with its state.
 */
export function Tabs(props: Tabs.IProps): React.ReactElement {
  const { tabs, selected, label, onSelect } = props;
  const id = React.useId();
  const list = React.useRef<HTMLDivElement>(null);
  const [visited, setVisited] = React.useState<ReadonlySet<string>>(
    () => new Set([selected])
  );
  if (!visited.has(selected)) {
    setVisited(new Set([...visited, selected]));
  }

  const onKeyDown = (event: React.KeyboardEvent) => {
    const at = tabs.findIndex(tab => tab.id === selected);
    const target = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1
    }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      onSelect(tabs[target].id);
      list.current
        ?.querySelectorAll<HTMLElement>('[role="tab"]')
        [target]?.focus();
    }
  };

  return (
    <div className="gol-Tabs">
      <div
        className="gol-Tabs-list"
        role="tablist"
        aria-label={label}
        ref={list}
        onKeyDown={onKeyDown}
      >
        {tabs.map(tab => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${id}-${tab.id}`}
            aria-selected={tab.id === selected}
            aria-controls={
              visited.has(tab.id) ? `${id}-${tab.id}-panel` : undefined
            }
            tabIndex={tab.id === selected ? 0 : -1}
            onClick={() => onSelect(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      {tabs
        .filter(tab => visited.has(tab.id))
        .map(tab => (
          <div
            key={tab.id}
            className="gol-Tabs-panel"
            role="tabpanel"
            id={`${id}-${tab.id}-panel`}
            aria-labelledby={`${id}-${tab.id}`}
            hidden={tab.id !== selected}
            tabIndex={0}
          >
            {tab.render(tab.id === selected)}
          </div>
        ))}
    </div>
  );
}

export namespace Tabs {
  export interface ITab {
    id: string;
    label: string;
    /** Renders the view; `seen` is whether its tab is open. */
    render: (seen: boolean) => React.ReactNode;
  }

  export interface IProps {
    tabs: readonly ITab[];
    selected: string;
    /** The common subject of the tabs; read aloud. */
    label: string;
    onSelect: (id: string) => void;
  }
}
