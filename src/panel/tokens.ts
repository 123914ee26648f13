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
  /** Lower is higher up: Compute 10, Experiments 20, Profiles 30, Models 40, Deployments 50. */
  rank: number;
  icon: LabIcon;
  /** Called when the section is first seen open, and again where its code could not be loaded. */
  render: (section: ISection) => Drawn | Promise<Drawn>;
  actions?: readonly ISectionAction[];
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
  /** Show a widget between the header and the sections; hide or dispose it when it is done. */
  addBanner(banner: Widget): void;
  /** Whether the administrator left a room on, as far as the server was asked. */
  offers(room: string): boolean;
  /** Whether a person can see the panel. */
  readonly isSeen: boolean;
  readonly seenChanged: ISignal<unknown, boolean>;
}

export const IGenOpsPanel = new Token<IGenOpsPanel>(
  'genops-lab:IGenOpsPanel',
  'The GenOps Lab panel: rooms add their sections to it.'
);
