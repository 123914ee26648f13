import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { MimeModel } from '@jupyterlab/rendermime';
import * as React from 'react';

import '../../../style/registry/markdown.css';

/** Markdown by JupyterLab's own renderer, which removes scripts. */
export function Markdown(props: {
  text: string;
  rendermime: IRenderMimeRegistry;
}): React.ReactElement {
  const { text, rendermime } = props;
  const host = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    const renderer = rendermime.createRenderer('text/markdown');
    const data = { 'text/markdown': text };
    void renderer.renderModel(new MimeModel({ data, trusted: false }));
    host.current?.replaceChildren(renderer.node);
    return () => renderer.dispose();
  }, [text, rendermime]);
  return <div ref={host} className="gol-Markdown" />;
}
