import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatMoney } from '../../../core/money';
import { tokenTotal, tokenWords } from '../messages';
import type { ITokens } from '../service';

/** The number of tokens; nothing where it is not known. */
export function TokensFact(props: {
  tokens: ITokens | null | undefined;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { tokens, trans } = props;
  const total = tokenTotal(tokens);
  if (!tokens || total === null) {
    return null;
  }
  return (
    <span className="gol-TracePane-fact" title={tokenWords(tokens, trans)}>
      {trans._n('%2 token', '%2 tokens', total, total.toLocaleString())}
    </span>
  );
}

/** A cost; nothing where it is not known. */
export function CostFact(props: {
  cost: number | null | undefined;
  isPartial?: boolean;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { cost, isPartial, trans } = props;
  if (typeof cost !== 'number') {
    return null;
  }
  return (
    <span
      className="gol-TracePane-fact"
      title={
        isPartial
          ? trans.__('Some calls have no known price')
          : trans.__('Cost of all calls in US dollars')
      }
    >
      {isPartial
        ? trans.__('at least %1', formatMoney(cost))
        : formatMoney(cost)}
    </span>
  );
}
