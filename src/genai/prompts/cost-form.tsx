import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, ApiError, Form } from '../../core';
import { FormError } from '../../core/ui/form-dialog';

import type { PromptsModel } from './model';

/** A form whose first button asks for the cost, and whose second one begins. A change of a field asks anew. */
export function CostForm<C>(props: {
  label: string;
  /** Whether the fields are complete. */
  canAsk: boolean;
  onCost: () => Promise<C>;
  onStart: () => Promise<void>;
  /** What the cost is, in words. */
  costText: (cost: C) => React.ReactNode;
  /** The verb on the button that begins. */
  startLabel: (cost: C) => string;
  children: React.ReactNode;
  trans: TranslationBundle;
}): React.ReactElement {
  const { label, canAsk, onCost, onStart, costText, trans } = props;
  const [cost, setCost] = React.useState<C | null>(null);
  const [error, setError] = React.useState<ApiError>();
  const [busy, setBusy] = React.useState(false);
  const changes = React.useRef(0);
  const actions = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (cost) {
      actions.current?.querySelector('button')?.focus();
    }
  }, [cost]);
  const send = async (work: () => Promise<C | null>) => {
    setBusy(true);
    setError(undefined);
    const asked = changes.current;
    try {
      const found = await work();
      // The cost of fields that changed meanwhile is not that of the form.
      setCost(asked === changes.current ? found : null);
    } catch (reason) {
      setError(ApiError.from(reason, trans));
    }
    setBusy(false);
  };
  return (
    <Form
      className="gol-Trial-form"
      busy={busy}
      aria-label={label}
      onChange={() => {
        changes.current += 1;
        setCost(null);
        setError(undefined);
      }}
      onSubmit={() => {
        if (canAsk && !busy && !cost) {
          void send(onCost);
        }
      }}
    >
      {props.children}
      <div className="gol-Actions" ref={actions}>
        {cost ? (
          <ActionButton
            primary
            label={props.startLabel(cost)}
            busy={busy}
            onClick={() =>
              void send(async () => {
                await onStart();
                return null;
              })
            }
          />
        ) : (
          <ActionButton
            primary
            label={trans.__('Show cost')}
            caption={trans.__('Say what the calls cost at most. No call yet.')}
            disabled={!canAsk}
            busy={busy}
            onClick={() => void send(onCost)}
          />
        )}
        <div role="status">{cost && costText(cost)}</div>
      </div>
      <FormError error={error} />
    </Form>
  );
}

/** Follow the durable work of a tab while it is `seen`. */
export function useWork(
  model: PromptsModel,
  work: 'trials' | 'optimizations',
  seen: boolean
): void {
  const { name } = model;
  React.useEffect(() => {
    if (seen) {
      model.openWork(work);
    }
    return () => model.closeWork(work);
  }, [model, work, name, seen]);
}
