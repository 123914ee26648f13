import { Widget } from '@lumino/widgets';

import { genaiIcon } from '../icon';
import type { IPageContext } from '../pages';

/** Return the page of models that answer. */
export function endpointsPage({ core }: IPageContext): Widget {
  const page = new Widget();
  page.title.label = core.trans.__('Endpoints');
  page.title.icon = genaiIcon;
  return page;
}
