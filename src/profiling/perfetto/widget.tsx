import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { Callout, useRevision } from '../../core';
import { formatMicroseconds } from '../figures';

import type { TraceFetch } from '../trace/model';
import { FetchTrace } from '../trace/view';

import type { PerfettoModel } from './model';
import type { ITraceCut } from './service';

import '../../../style/profiling/perfetto.css';

/** The Perfetto UI in the main area. */
export class PerfettoWidget extends ReactWidget {
  constructor(private _options: PerfettoWidget.IOptions) {
    super();
    this.profileId = _options.profileId;
    this.model = _options.model;
    this.addClass('gol-Perfetto');
    this.node.tabIndex = -1;
  }

  readonly profileId: string;
  readonly model: PerfettoModel;

  override dispose(): void {
    this.model.dispose();
    super.dispose();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    (this.node.querySelector('iframe') ?? this.node).focus({
      preventScroll: true
    });
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.update();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this.update();
  }

  protected override render(): React.ReactElement {
    return <PerfettoView {...this._options} visible={this.isVisible} />;
  }
}

export namespace PerfettoWidget {
  export interface IOptions {
    profileId: string;
    model: PerfettoModel;
    /** Returns the transfer of a trace from its target. */
    traceFetch: () => TraceFetch;
    trans: TranslationBundle;
  }
}

/** The UI below a line that describes the shown period. */
function PerfettoView(
  props: PerfettoWidget.IOptions & { visible: boolean }
): React.ReactElement {
  const { model, trans } = props;
  useRevision(model.changed);
  React.useEffect(() => {
    if (!model.page) {
      void model.load();
    }
  }, [model]);
  const { page, cut, busy, error } = model;
  // An empty frame is white in each theme, so it is seen from its first trace on.
  const drawn = React.useRef(false);
  drawn.current ||= cut !== null && !busy;
  return (
    <>
      {error && model.isElsewhere && (
        <FetchTrace
          profileId={props.profileId}
          make={props.traceFetch}
          visible={props.visible}
          words={error.message}
          trans={trans}
        />
      )}
      {error && !model.isElsewhere && (
        <Callout tone="error" title={error.message}>
          <>
            {error.hint && <p>{error.hint}</p>}
            <button
              type="button"
              className="jp-mod-styled"
              onClick={() => void model.load()}
            >
              {trans.__('Try again')}
            </button>
          </>
        </Callout>
      )}
      <p className="gol-Note" role="status">
        {busy
          ? trans.__('Opening the Perfetto UI…')
          : cut && !error && shownPart(cut, trans)}
      </p>
      {page && (
        <iframe
          className={drawn.current ? undefined : 'gol-mod-loading'}
          src={address(page)}
          // Without an origin, nothing in a trace or in the UI can act as the
          // Lab.
          sandbox="allow-scripts allow-downloads"
          referrerPolicy="no-referrer"
          title={trans.__('Perfetto')}
          onLoad={event => model.enter(event.currentTarget)}
        />
      )}
    </>
  );
}

/** Embedded, the UI has no sidebar and counts no visits. */
function address(page: string): string {
  const theme =
    document.body.dataset.jpThemeLight === 'false' ? 'dark' : 'light';
  return `${page}?theme=${theme}#!/?mode=embedded`;
}

/** The part of the trace that is shown. */
function shownPart(cut: ITraceCut, trans: TranslationBundle): string {
  if (cut.whole) {
    return trans.__('The whole trace, opened at the same place.');
  }
  const stretch = [
    formatMicroseconds(cut.kept_first_us),
    formatMicroseconds(cut.kept_last_us)
  ];
  const words = [
    cut.narrowed
      ? trans.__(
          'The trace is large: only %1 to %2 of the visible part is shown.',
          ...stretch
        )
      : trans.__('The trace is large: only %1 to %2 is shown.', ...stretch)
  ];
  if (cut.left_out > 0) {
    words.push(
      trans._n(
        '%1 event over the limit was left out.',
        '%1 events over the limit were left out.',
        cut.left_out
      )
    );
  }
  return words.join(' ');
}
