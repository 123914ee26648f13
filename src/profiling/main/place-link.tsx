import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ApiError } from '../../core';
import type { IPlace } from '../service';

import type { IPlaces } from './places';
import { placeWords } from './places';

/** A line of code; a link if it can be shown. */
export function PlaceLink(props: PlaceLink.IProps): React.ReactElement {
  const { place, places, notebook, trans } = props;
  const words = placeWords(place, trans);
  const content = props.children ?? words;
  if (!places.canOpen(place, notebook)) {
    return <span title={words}>{content}</span>;
  }
  return (
    <button
      type="button"
      className="gol-LinkButton"
      tabIndex={props.tabIndex}
      title={trans.__('Show %1', words)}
      onClick={() => openPlace(props)}
    >
      {content}
    </button>
  );
}

export namespace PlaceLink {
  export interface IProps {
    place: IPlace;
    places: IPlaces;
    /** The profile's notebook; empty without one. */
    notebook: string;
    children?: React.ReactNode;
    /** In a grid, which controls the order of Tab. */
    tabIndex?: number;
    trans: TranslationBundle;
  }
}

/** Show a line, or a message if that fails. */
export function openPlace(
  props: Pick<PlaceLink.IProps, 'place' | 'places' | 'notebook' | 'trans'>
): void {
  const { place, places, notebook, trans } = props;
  places.open(place, notebook).catch((reason: unknown) => {
    const { message, hint } = ApiError.from(reason, trans);
    Notification.error(`${message} ${hint}`.trim());
  });
}
