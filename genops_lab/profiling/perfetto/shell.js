/* Run the Perfetto UI in a sandbox without an origin: replace the missing browser features before it starts, and notify
   the parent page when a trace is shown. */
(() => {
  'use strict';
  const base = document.currentScript.src.replace(/[^/]*$/, '');
  const assets = `${base}${document.currentScript.dataset.version}/`;
  const LOOK_MS = 200;
  const WORKERS = ['engine_bundle.js', 'traceconv_bundle.js'];

  // Nothing is stored: each opening starts from scratch. The parent page sends the traces.
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
  const theme = new URLSearchParams(location.search).get('theme') ?? 'light';
  const settings = [
    ['trustedOrigins', JSON.stringify([location.origin])],
    ['perfettoSettings', JSON.stringify({ theme })]
  ];
  Object.defineProperty(window, 'localStorage', { value: storage(settings) });
  Object.defineProperty(window, 'sessionStorage', { value: storage([]) });

  // A sandbox does not allow service workers. The UI works without the property, but fails at start with it.
  delete Navigator.prototype.serviceWorker;

  // Requests to other addresses (an accelerator on this machine, a server of viztracer) are refused.
  const fetchAny = window.fetch;
  window.fetch = (what, ...rest) => {
    const url = new URL(what instanceof Request ? what.url : what, base).href;
    return url.startsWith(base) || /^(blob|data):/.test(url)
      ? fetchAny(what, ...rest)
      : Promise.reject(new TypeError(`${url} is not fetched here`));
  };
  window.EventSource = class extends EventTarget {
    close() {}
  };

  // A worker must have its page's origin, and there is none: it is made from its text, which is loaded first.
  const texts = new Map();
  const fetchWorker = async name => {
    const answer = await fetch(`${assets}${name}`);
    texts.set(`${assets}${name}`, await answer.blob());
  };
  const WorkerOfOrigin = window.Worker;
  window.Worker = class extends WorkerOfOrigin {
    constructor(url) {
      // Relative addresses would be relative to the worker's own address, which is a blob.
      const begin = `
        const at = what => new URL(what, ${JSON.stringify(assets)});
        const { fetch, XMLHttpRequest } = self;
        self.fetch = (what, ...rest) => fetch(typeof what === 'string' ? at(what) : what, ...rest);
        const { open } = XMLHttpRequest.prototype;
        XMLHttpRequest.prototype.open = function (method, what, ...rest) {
          return open.call(this, method, at(what), ...rest);
        };
      `;
      const parts = [begin, texts.get(String(url))];
      super(URL.createObjectURL(new Blob(parts, { type: 'text/javascript' })));
    }
  };

  // The UI's own policy refuses such workers and allows Google's hosts; the server's policy replaces it. Scripts of
  // other hosts are not requested at all, since they would be refused.
  const refused = node =>
    node.httpEquiv === 'Content-Security-Policy' ||
    (node.src && !node.src.startsWith(base));
  for (const way of ['append', 'appendChild']) {
    const add = document.head[way];
    document.head[way] = node => {
      if (!refused(node)) {
        return add.call(document.head, node);
      }
      setTimeout(() => node.dispatchEvent(new Event('error')));
      return node;
    };
  }

  // Select a slice by its name and the nearest times, because Perfetto may round them.
  const select = async (trace, { name, ts_ns, dur_ns }) => {
    const text = name.replaceAll("'", "''");
    const found = await trace.engine.query(
      `select id from slice where name = '${text}' and abs(ts - ${BigInt(ts_ns)}) <= 1000
       order by abs(ts - ${BigInt(ts_ns)}) + abs(dur - ${BigInt(dur_ns)}) limit 1`
    );
    const row = found.iter({ id: 0 });
    if (row.valid()) {
      trace.selection.selectSqlEvent('slice', row.id, {
        scrollToSelection: true
      });
    }
    return row.valid();
  };

  // Wait until another trace than the previous one is loaded completely.
  const shown = async before => {
    // The UI itself may still be loading.
    while (
      !window.app?.trace ||
      window.app.isLoadingTrace ||
      window.app.trace === before
    ) {
      await new Promise(done => setTimeout(done, LOOK_MS));
    }
    return window.app.trace;
  };
  window.addEventListener('message', event => {
    const asked = event.data?.genopsShow;
    if (event.source !== window.parent || !asked) {
      return;
    }
    const before = asked.another ? window.app?.trace : undefined;
    void (async () => {
      let selected = false;
      try {
        const trace = await shown(before);
        selected = asked.slice !== null && (await select(trace, asked.slice));
      } finally {
        window.parent.postMessage({ genopsShown: { selected } }, '*');
      }
    })();
  });

  const start = async () => {
    await Promise.all(WORKERS.map(fetchWorker));
    const script = document.createElement('script');
    script.src = `${assets}frontend_bundle.js`;
    document.head.append(script);
  };
  void start();
})();
