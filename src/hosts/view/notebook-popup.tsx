import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { stateWord } from '../../kernels/kernel-messages';
import { ActionButton, Callout, Facts, StatusBadge, useNow } from '../../core';

import { isUnderWay } from '../model';
import type { NotebookTarget } from '../notebook-target';
import {
  describePending,
  endWords,
  endsSoon,
  formatPrice,
  priceOf,
  formatRoundTrip,
  hostNoun,
  isConnected,
  lossWords,
  staleWords
} from '../messages';

import { GpuBars, HostBars } from './gpu-bars';
import { LinkBadge, LinkDetail, LinkFailure } from './link-badge';

/** The actions in a notebook's toolbar item. */
export interface INotebookActions {
  onReconnect: (target: string) => void;
  /** Take the kernel back from the Lab that has taken it over. */
  onTakeBack: (target: string, kernelId: string) => void;
  onDetach: (target: string) => void;
  /** Restart the kernel, which has ended for this reason. */
  onRestart: (why: string) => void;
  onLog: (target: string, kernelId: string) => void;
  onTerminal: (target: string, kernelId: string) => void;
  /** Null without a file browser. */
  onFiles: ((target: string, kernelId: string) => void) | null;
  onPull: () => void;
  onMove: () => void;
  onOpenPanel: () => void;
}

/**
 * A popup below the toolbar item with details of the notebook's target. Escape
 * and a click elsewhere close it.
 */
export class NotebookPopup extends ReactWidget {
  constructor(private _options: NotebookPopup.IOptions) {
    super();
    this.addClass('gol-Popup');
    this.addClass('jp-ThemedContainer');
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute(
      'aria-label',
      _options.trans.__('Where this notebook runs')
    );
    this.node.tabIndex = -1;
    _options.notebook.changed.connect(this.update, this);
  }

  /** Show the popup below its anchor and focus it. */
  open(): void {
    Widget.attach(this, document.body);
    this._place();
    this.node.focus();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    if (this.node.contains(document.activeElement)) {
      this._leave();
      return;
    }
    super.dispose();
  }

  /** Close the popup and return the focus to its anchor. */
  private _leave(): void {
    this._options.anchor.querySelector('button')?.focus();
    super.dispose();
  }

  /** Handle the DOM's events; not to be called elsewhere. */
  handleEvent(event: Event): void {
    if (event.type === 'resize') {
      requestAnimationFrame(() => this._place());
      return;
    }
    if (event instanceof KeyboardEvent) {
      if (event.key === 'Escape') {
        event.preventDefault();
        event.stopPropagation();
        this.dispose();
      } else if (event.key === 'Tab') {
        // When the keyboard leaves the popup, it closes.
        requestAnimationFrame(() => {
          if (!this.isDisposed && !this.node.contains(document.activeElement)) {
            this._leave();
          }
        });
      }
      return;
    }
    const at = event.target as Node;
    if (!this.node.contains(at) && !this._options.anchor.contains(at)) {
      this.dispose();
    }
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    document.addEventListener('keydown', this, true);
    document.addEventListener('mousedown', this, true);
    window.addEventListener('resize', this);
  }

  protected override onBeforeDetach(msg: Message): void {
    document.removeEventListener('keydown', this, true);
    document.removeEventListener('mousedown', this, true);
    window.removeEventListener('resize', this);
    super.onBeforeDetach(msg);
  }

  /** Move the popup below its anchor, within the window. */
  private _place(): void {
    const { right, bottom } = this._options.anchor.getBoundingClientRect();
    const room = window.innerWidth - POPUP_PX - 8;
    const free = Math.max(8, window.innerWidth - right);
    this.node.style.top = `${bottom + 4}px`;
    this.node.style.right = `${Math.min(free, Math.max(8, room))}px`;
  }

  protected override render(): React.ReactElement {
    const { notebook, trans } = this._options;
    const leave = (work: () => void) => () => {
      this.dispose();
      work();
    };
    return (
      <PopupView
        notebook={notebook}
        trans={trans}
        onReconnect={name => this._options.onReconnect(name)}
        onTakeBack={(name, id) => this._options.onTakeBack(name, id)}
        onDetach={name => this._options.onDetach(name)}
        onRestart={why => leave(() => this._options.onRestart(why))()}
        onLog={(name, id) => leave(() => this._options.onLog(name, id))()}
        onTerminal={(name, id) =>
          leave(() => this._options.onTerminal(name, id))()
        }
        onFiles={
          this._options.onFiles &&
          ((name, id) => leave(() => this._options.onFiles?.(name, id))())
        }
        onPull={leave(this._options.onPull)}
        onMove={leave(this._options.onMove)}
        onOpenPanel={leave(this._options.onOpenPanel)}
      />
    );
  }
}

export namespace NotebookPopup {
  export interface IOptions extends INotebookActions {
    notebook: NotebookTarget;
    /**
     * The popup opens below this element, and returns the focus to its button.
     */
    anchor: HTMLElement;
    trans: TranslationBundle;
  }
}

/** The width of the popup. */
const POPUP_PX = 320;

function PopupView(
  props: INotebookActions & {
    notebook: NotebookTarget;
    trans: TranslationBundle;
  }
): React.ReactElement {
  const { notebook, trans } = props;
  const { target, targetName, isRemote, kernelId, taken, ended, pending } =
    notebook;
  const now = useNow(pending ? 1 : 0);
  const move = (
    <ActionButton
      label={
        target?.allocates
          ? trans.__('Move or change resources…')
          : trans.__('Move to another target…')
      }
      caption={
        target?.allocates
          ? trans.__(
              'Choose the target and the resources of a new kernel: GPUs, CPUs, memory, time'
            )
          : trans.__(
              'Choose where this notebook runs; a new kernel starts on that target'
            )
      }
      onClick={props.onMove}
    />
  );
  const panel = (
    <ActionButton
      label={trans.__('Open the panel')}
      caption={trans.__('Show all targets in the GenOps Lab panel')}
      onClick={props.onOpenPanel}
    />
  );
  if (!isRemote) {
    return (
      <>
        <div className="gol-Popup-head">
          <h2>{kernelId ? trans.__('This machine') : trans.__('No kernel')}</h2>
        </div>
        <p className="gol-Note">
          {kernelId
            ? trans.__('The kernel runs on the machine of the Jupyter server.')
            : trans.__('This notebook has no kernel.')}
        </p>
        <div className="gol-Actions">
          {move}
          {panel}
        </div>
      </>
    );
  }
  if (!target) {
    return (
      <>
        <div className="gol-Popup-head">
          <h2>{targetName}</h2>
        </div>
        <Callout
          tone="warning"
          title={
            notebook.model.targets
              ? trans.__('“%1” is no longer a target.', targetName)
              : trans.__('The state of this target is not known yet.')
          }
        >
          {notebook.model.list.error?.message}
        </Callout>
        <div className="gol-Actions">
          {move}
          {panel}
        </div>
      </>
    );
  }
  const stale = staleWords(target, trans);
  const { host } = notebook;
  const price = formatPrice(priceOf(target, notebook.kernelName), trans);
  const isUp = isConnected(target) && !pending;
  const busy = isUnderWay(target) || pending !== undefined;
  const waits = pending && describePending(pending, now, trans);
  return (
    <>
      <div className="gol-Popup-head">
        <h2 title={target.name}>{target.name}</h2>
        {waits ? (
          <StatusBadge tone={waits.tone} label={waits.label} />
        ) : (
          <LinkBadge target={target} trans={trans} />
        )}
      </div>
      {waits ? (
        <Callout tone="info" title={waits.detail}>
          {trans.__(
            'Cells that you run now are queued, and run once the kernel is ready. Interrupt removes them from the queue. “Cancel start” shuts the kernel down and gives up its place in the queue.'
          )}
        </Callout>
      ) : target.state === 'failed' ? (
        <LinkFailure target={target} trans={trans} />
      ) : (
        <LinkDetail target={target} trans={trans} />
      )}
      {isUp && host && endsSoon(host, Date.now() / 1000) && (
        <Callout
          tone="warning"
          title={endWords(
            host,
            hostNoun(target, trans),
            Date.now() / 1000,
            trans
          )}
        >
          {trans.__(
            'Its variables will be lost. Outputs in the notebook stay. Its other files go with it unless it shares its storage.'
          )}
        </Callout>
      )}
      {taken && (
        <Callout
          tone="warning"
          title={trans.__('Another Lab has this kernel.')}
        >
          {trans.__(
            '%1 took it over. The kernel keeps running, and its outputs go to that Lab. That Lab is notified when you take the kernel back.',
            taken.other
          )}
        </Callout>
      )}
      {ended && (
        <Callout tone="warning" title={trans.__('The kernel has ended.')}>
          {[ended.reason, lossWords(ended.reason, trans)]
            .filter(Boolean)
            .join(' ')}
        </Callout>
      )}
      {target.reading && !waits && (
        <div className={stale ? 'gol-Bars gol-mod-old' : 'gol-Bars'}>
          <GpuBars reading={target.reading} trans={trans} />
          <HostBars reading={target.reading} trans={trans} />
        </div>
      )}
      {stale && !waits && <p className="gol-Note">{stale}</p>}
      <Facts
        facts={[
          target.allocates
            ? [trans.__('Where'), target.where]
            : target.host
              ? [trans.__('Host'), target.host]
              : null,
          isUp && target.rtt_s !== null
            ? [trans.__('Round trip'), formatRoundTrip(target.rtt_s)]
            : null,
          price ? [trans.__('Price'), price] : null,
          [
            trans.__('Kernel'),
            ended
              ? trans.__('ended')
              : stateWord(notebook.session.kernelDisplayStatus, trans).label
          ]
        ]}
      />
      <div className="gol-Actions">
        {pending && (
          <ActionButton
            label={trans.__('Cancel start')}
            caption={trans.__(
              'Shut the kernel down and give up its place in the queue'
            )}
            onClick={() => void notebook.shutdown()}
          />
        )}
        {ended && (
          <ActionButton
            primary
            label={trans.__('Restart…')}
            caption={trans.__(
              'Restart the kernel on %1 or elsewhere, and choose the cells that run again',
              target.name
            )}
            onClick={() => props.onRestart(ended.reason)}
          />
        )}
        {isUp && taken && (
          <ActionButton
            label={trans.__('Take it back')}
            caption={trans.__('Attach the kernel to this Lab again')}
            onClick={() => props.onTakeBack(target.name, kernelId)}
          />
        )}
        {!isUp && !busy && (
          <ActionButton
            label={trans.__('Reconnect')}
            caption={trans.__('Connect to %1 now', target.name)}
            onClick={() => props.onReconnect(target.name)}
          />
        )}
        {isUp && (
          <>
            {!target.is_this_machine && (
              <ActionButton
                label={trans.__('Pull files…')}
                caption={trans.__(
                  'See which files of the notebook’s folder are new or changed on %1, and pull them',
                  target.name
                )}
                onClick={props.onPull}
              />
            )}
            {!ended && (
              <ActionButton
                label={trans.__('Terminal')}
                caption={trans.__(
                  'Open a shell beside the kernel, in its folder'
                )}
                onClick={() => props.onTerminal(target.name, kernelId)}
              />
            )}
            {!ended && props.onFiles && (
              <ActionButton
                label={trans.__('Browse files')}
                caption={trans.__(
                  'Show the home of the kernel’s host in a file browser'
                )}
                onClick={() => props.onFiles?.(target.name, kernelId)}
              />
            )}
            <ActionButton
              label={trans.__('Kernel log')}
              caption={trans.__(
                'Show what the kernel’s process wrote outside of cells'
              )}
              onClick={() => props.onLog(target.name, kernelId)}
            />
            <ActionButton
              label={trans.__('Disconnect')}
              caption={trans.__(
                'Disconnect from %1; its kernels keep running, and the host keeps their outputs',
                target.name
              )}
              onClick={() => props.onDetach(target.name)}
            />
          </>
        )}
        {move}
        {panel}
      </div>
    </>
  );
}
