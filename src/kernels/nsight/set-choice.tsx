import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { components } from '../../api/generated';

import '../../../style/hosts/dialogs.css';

export type SectionSet =
  components['schemas']['NewNsightKernel']['section_set'];

/** What the restart does, and how much of each kernel is measured: ncu takes that when it starts. */
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
          'How busy compute and memory are, occupancy, registers. The quickest: some ten runs of each kernel.'
        )
      ],
      [
        'detailed',
        trans.__('Detailed'),
        trans.__(
          'Also memory by level, FLOPs for the roofline, and the costly instructions. Some twenty runs of each kernel.'
        )
      ],
      [
        'full',
        trans.__('Full'),
        trans.__(
          'Also why warps wait, and all tables of memory. Some forty runs of each kernel.'
        )
      ]
    ];
    return (
      <div className="gol-Form">
        <p>
          {trans.__(
            'Nsight Compute %1 measures only programs that it has started, so the kernel is started anew: its variables are lost. In cells with %2 each kernel of the GPU then runs many times by itself, so that they take far longer; one optimizer step is measured where nothing else is asked for. Other cells are not measured.',
            this._version,
            '%%profile'
          )}
        </p>
        <fieldset className="gol-Sources">
          <legend className="gol-Field-label">
            {trans.__('Measure of each kernel')}
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
