import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { GenOpsApi } from '../../core';
import { Resource, ResourceView } from '../../core';
import { openForm } from '../../core/ui/form-dialog';

import { PromoteForm } from '../promoting';
import type { IGateReport } from '../service';
import { GatesService } from '../service';

import { PromoteFields } from './promote-form';
import { ReportView } from './report';

/** The last verdict on a version, read when this is first shown, and its promotion. */
export function VersionGates(props: {
  version: { name: string; version: string };
  api: GenOpsApi;
  trans: TranslationBundle;
}): React.ReactElement {
  const { api, trans } = props;
  const { name, version } = props.version;
  const service = React.useMemo(
    () => new GatesService(api, { name, version }, trans),
    [api, name, version]
  );
  const resource = React.useMemo(
    () =>
      new Resource<{ report: IGateReport | null }>({
        fetch: async signal => ({ report: await service.last(signal) }),
        trans
      }),
    [service]
  );
  React.useEffect(() => {
    void resource.refresh();
    return () => resource.dispose();
  }, [resource]);
  const promote = async (): Promise<void> => {
    const form = new PromoteForm(service, trans);
    await openForm({
      title: trans.__('Promote %1 version %2', name, version),
      form,
      render: () => <PromoteFields form={form} trans={trans} />,
      action: trans.__('Promote'),
      trans
    });
    form.stop();
    if (!resource.isDisposed) {
      await resource.refresh();
    }
  };
  return (
    <div className="gol-Gates">
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The verdict on this version cannot be read.')}
        late={trans.__('MLflow is slow: waiting for the verdict.')}
        empty={null}
      >
        {({ report }) =>
          report ? (
            <ReportView report={report} trans={trans} />
          ) : (
            <p className="gol-Note">
              {trans.__('No gate has judged this version.')}
            </p>
          )
        }
      </ResourceView>
      <button
        type="button"
        className="gol-LinkButton"
        aria-label={trans.__('Promote %1 version %2…', name, version)}
        onClick={() => void promote()}
      >
        {trans.__('Promote…')}
      </button>
    </div>
  );
}
