import type { CardView } from '../card';
import type { CardModel } from '../model';

import { DeploymentView } from './deployment';
import { ProfileView } from './profile';
import { RunView } from './run';
import { SweepView } from './sweep';

import '../../../../style/runtime/card-base.css';
import '../../../../style/runtime/card-run.css';
import '../../../../style/runtime/card-sweep.css';
import '../../../../style/runtime/card-profile.css';
import '../../../../style/runtime/card-deployment.css';

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
