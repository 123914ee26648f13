/** Stands in for anywidget's model. */
export class Model {
  listeners = new Map<string, Set<() => void>>();
  constructor(private state: Record<string, unknown>) {}
  get = (name: string) => this.state[name] as never;
  set(name: string, value: unknown): void {
    this.state[name] = value;
    this.listeners.get(`change:${name}`)?.forEach(listener => listener());
  }
  on = (event: string, listener: () => void) => {
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all.add(listener));
  };
  off = (event: string, listener: () => void) => {
    this.listeners.get(event)?.delete(listener);
  };
  get size(): number {
    return [...this.listeners.values()].reduce((n, s) => n + s.size, 0);
  }
}

export const frame = () =>
  new Promise(resolve => requestAnimationFrame(resolve));
