import type { CardView } from '../card';
import type { CardModel } from '../model';

import { DeploymentView } from './deployment';
import { ProfileView } from './profile';
import { RunView } from './run';
import { SweepView } from './sweep';

interface IView {
  dispose(): void;
}

/** The views of cards, loaded when the first card is drawn. */
export const VIEWS: Record<
  CardView,
  new (model: CardModel, el: HTMLElement) => IView
> = {
  run: RunView,
  sweep: SweepView,
  profile: ProfileView,
  deployment: DeploymentView
};
