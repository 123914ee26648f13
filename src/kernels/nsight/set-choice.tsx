import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { components } from '../../api/generated';

import '../../../style/hosts/dialogs.css';

export type SectionSet =
  components['schemas']['NewNsightKernel']['section_set'];

/**
 * What the restart does, and how much of each GPU kernel is measured: ncu needs
 * the set at its start.
 */
export class SetChoice extends ReactWidget {
  constructor(version: string, trans: TranslationBundle) {
    super();
    this.addClass('gol-Form-host');
    this._version = version;
    this._trans = trans;
  }

  chosen: SectionSet = 'basic';

  protected override render(): React.ReactElement {
    const trans = this._trans;
    const sets: [SectionSet, string, string][] = [
      [
        'basic',
        trans.__('Basic'),
        trans.__(
          'Use of compute and memory, occupancy, registers. The fastest set: about 10 runs of each kernel.'
        )
      ],
      [
        'detailed',
        trans.__('Detailed'),
        trans.__(
          'Also memory by level, FLOPs for the roofline, and the costly instructions. About 20 runs of each kernel.'
        )
      ],
      [
        'full',
        trans.__('Full'),
        trans.__(
          'Also why warps wait, and all tables of memory. About 40 runs of each kernel.'
        )
      ]
    ];
    return (
      <div className="gol-Form">
        <p>
          {trans.__(
            'Nsight Compute %1 measures only programs that it has started. The kernel is restarted, and its variables are lost. Cells with %2 take far longer, because each GPU kernel in them runs many times alone. Without options %2 measures one optimizer step. Other cells are not measured.',
            this._version,
            '%%profile'
          )}
        </p>
        <fieldset className="gol-Sources">
          <legend className="gol-Field-label">
            {trans.__('Set to measure')}
          </legend>
          {sets.map(([name, title, detail]) => (
            <label key={name} className="gol-Source">
              <input
                type="radio"
                name="gol-nsight-set"
                value={name}
                checked={this.chosen === name}
                onChange={() => {
                  this.chosen = name;
                  this.update();
                }}
              />
              <span className="gol-Source-text">
                <span className="gol-Source-name">{title}</span>
                <span className="gol-Field-help">{detail}</span>
              </span>
            </label>
          ))}
        </fieldset>
      </div>
    );
  }

  private _version: string;
  private _trans: TranslationBundle;
}
