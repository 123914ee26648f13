import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { WidgetTracker } from '@jupyterlab/apputils';
import { MainAreaWidget } from '@jupyterlab/apputils';

import type { IGenOpsCore } from '../../core';
import { profileIcon } from '../../core';
import { TraceFetch } from '../trace/model';

import { PerfettoModel } from './model';
import type { ICutQuery } from './service';
import { PerfettoService } from './service';
import { PerfettoWidget } from './widget';

/** Show a part of a profile's timeline in its view, which is opened if it is not yet. */
export async function openPerfetto(
  { shell }: JupyterFrontEnd,
  core: IGenOpsCore,
  tracker: WidgetTracker<MainAreaWidget<PerfettoWidget>>,
  id: string,
  asked: ICutQuery
): Promise<MainAreaWidget<PerfettoWidget>> {
  const { trans } = core;
  const widgetId = `genops-perfetto-${id}`;
  let widget = tracker.find(each => each.id === widgetId);
  if (widget) {
    widget.content.model.show(asked);
    void tracker.save(widget);
  } else {
    const service = new PerfettoService(core.api, trans);
    const model = new PerfettoModel({
      profileId: id,
      asked,
      service,
      events: core.events,
      trans
    });
    widget = new MainAreaWidget({
      content: new PerfettoWidget({
        profileId: id,
        model,
        traceFetch: () => new TraceFetch(core, id),
        trans
      })
    });
    widget.toolbar.hide();
    widget.id = widgetId;
    widget.title.label = trans.__('Perfetto');
    widget.content.node.setAttribute('aria-label', widget.title.label);
    widget.title.icon = profileIcon;
    widget.title.closable = true;
    await tracker.add(widget);
    shell.add(widget, 'main');
  }
  shell.activateById(widgetId);
  return widget;
}
