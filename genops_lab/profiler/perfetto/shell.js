/* What the Perfetto UI misses in a sandbox without an origin, put there before it starts. */
(() => {
  'use strict';
  const base = document.currentScript.src.replace(/[^/]*$/, '');
  const version = document.currentScript.dataset.version;
  const assets = `${base}${version}/`;

  // Nothing is kept: each opening starts anew. The page around this one is the one that hands over traces.
  const storage = entries => {
    const kept = new Map(entries);
    return {
      getItem: key => kept.get(String(key)) ?? null,
      setItem: (key, value) => void kept.set(String(key), String(value)),
      removeItem: key => void kept.delete(String(key)),
      clear: () => kept.clear(),
      key: index => [...kept.keys()][index] ?? null,
      get length() {
        return kept.size;
      }
    };
  };
  const trusted = [['trustedOrigins', JSON.stringify([location.origin])]];
  Object.defineProperty(window, 'localStorage', { value: storage(trusted) });
  Object.defineProperty(window, 'sessionStorage', { value: storage([]) });

  // Not allowed in a sandbox: without it the UI does without, with it its start ends in an error.
  delete Navigator.prototype.serviceWorker;

  // A worker must have its page's origin, and there is none: it is made of its text, which is here before it.
  const workers = new Map();
  const fetchWorker = async name => {
    const answer = await fetch(`${assets}${name}`);
    workers.set(`${assets}${name}`, await answer.blob());
  };
  const WorkerWithOrigin = window.Worker;
  window.Worker = class extends WorkerWithOrigin {
    constructor(url) {
      // Relative addresses would count from the worker's own, which is a blob's.
      const begin = `
        const at = what => new URL(what, ${JSON.stringify(assets)});
        const { fetch, XMLHttpRequest } = self;
        self.fetch = (what, ...rest) => fetch(typeof what === 'string' ? at(what) : what, ...rest);
        const { open } = XMLHttpRequest.prototype;
        XMLHttpRequest.prototype.open = function (method, what, ...rest) {
          return open.call(this, method, at(what), ...rest);
        };
      `;
      const parts = [begin, workers.get(String(url))];
      super(URL.createObjectURL(new Blob(parts, { type: 'text/javascript' })));
    }
  };

  // Its own policy allows no such worker and allows Google's hosts; the server's policy stands in its place.
  const append = document.head.appendChild;
  document.head.appendChild = node =>
    node.httpEquiv === 'Content-Security-Policy'
      ? node
      : append.call(document.head, node);

  const start = async () => {
    await Promise.all(
      ['engine_bundle.js', 'traceconv_bundle.js'].map(fetchWorker)
    );
    const script = document.createElement('script');
    script.src = `${assets}frontend_bundle.js`;
    document.head.append(script);
  };
  void start();
})();
