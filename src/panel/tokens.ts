import type { LabIcon } from '@jupyterlab/ui-components';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import type { Drawn } from '../core/ui/late';

/** A button in a section's heading. */
export interface ISectionAction {
  id: string;
  label: string;
  icon: LabIcon;
  execute: () => void;
}

/** A part of the panel, as a room offers it. */
export interface ISectionOptions {
  /** Also the room's name, by which an administrator switches it off. */
  id: string;
  title: string;
  /** What the section shows, where the title does not tell; a tooltip, which a screen reader reads too. */
  caption?: string;
  /** Lower is higher up: {@link SectionRank} has those of this extension. */
  rank: number;
  /** How a person finds the section who has not changed the panel yet; `closed` by default. */
  atFirst?: 'open' | 'closed';
  icon: LabIcon;
  /** Called when the section is first seen open, and again where its code could not be loaded. */
  render: (section: ISection) => Drawn | Promise<Drawn>;
  actions?: readonly ISectionAction[];
}

/** The order of this extension's sections. */
export const SectionRank = {
  notebook: 0,
  experiments: 10,
  models: 20,
  deployments: 30,
  genai: 35,
  compute: 40,
  activity: 50
} as const;

/** Something that waits for a person: a question, a warning. */
export interface IAttention {
  /** Unique within its source. */
  id: string;
  tone: 'info' | 'warning' | 'error';
  /** A sentence. */
  text: string;
  /** Seconds since 1970; the newest is shown first. */
  since: number;
  /** The button that deals with it. */
  action?: { label: string; caption: string; execute: () => void };
  /** All sections show old values because of it: they are dimmed and do not say it again. */
  dims?: boolean;
  /** Has a button that takes the item away, where it may be ignored. */
  dismiss?: () => void;
}

/** What waits for a person, from all features. */
export interface IAttentionList {
  /** The newest first. */
  readonly items: readonly IAttention[];
  readonly changed: ISignal<object, void>;
}

/** What works only while it is seen: a Resource, or a model that subscribes. */
export interface IDriven {
  visible: boolean;
}

/** A part of the panel, as the panel hands it back. */
export interface ISection extends IDisposable {
  readonly id: string;
  /** Whether it is open, in a shown panel, in a shown browser tab. */
  readonly isSeen: boolean;
  readonly seenChanged: ISignal<ISection, boolean>;
  expanded: boolean;
  /** A number beside the title, none at 0; read aloud with `label`. */
  setCount(count: number, label: string): void;
  /** Make resources fetch while the section is visible and rest while it is not. */
  drive(...resources: IDriven[]): IDisposable;
}

/** The panel "GenOps Lab" in the left area. */
export interface IGenOpsPanel {
  addSection(options: ISectionOptions): ISection;
  /** Show the panel, with a section opened when one is named. */
  open(sectionId?: string): void;
  /** Add a button that stands for the whole panel. */
  addAction(action: ISectionAction): void;
  /** Show a small widget in the row at the bottom, beside More. */
  addNote(note: Widget): void;
  /** Say in the strip on top what needs a person. `items` replaces what `source` said before. */
  attend(source: string, items: readonly IAttention[]): void;
  /** All that the strip shows. */
  readonly attention: IAttentionList;
  /** Whether the administrator left a room on, as far as the server was asked. */
  offers(room: string): boolean;
  /** Emitted when a section is shown or hidden, by a person or an administrator. */
  readonly sectionsChanged: ISignal<object, void>;
  /** Whether a person can see the panel. */
  readonly isSeen: boolean;
  readonly seenChanged: ISignal<unknown, boolean>;
}

export const IGenOpsPanel = new Token<IGenOpsPanel>(
  'genops-lab:IGenOpsPanel',
  'The GenOps Lab panel: rooms add their sections to it.'
);
