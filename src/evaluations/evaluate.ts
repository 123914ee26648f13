import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError, FormModel } from '../core';
import type { components } from '../api/generated';
import type { IRegisteredModel } from '../registry/service';
import type { IDeployCheck } from '../registry/view/file-check';

import type { EvaluationsService, IBegunEvaluation } from './service';

export type ITarget = components['schemas']['Target'];

/** Against no other version. */
export const NONE = '';
/** Models run on the machine of the Lab. */
export const HERE = '';

export interface IEvaluateFields {
  /** A file, or NAME@DIGEST of a data set that MLflow knows. */
  data: string;
  /** The version that is compared; {@link NONE} for none. */
  against: string;
  /** The target on whose host the models run; {@link HERE} for none. */
  on: string;
  id: string;
  label: string;
  /** Columns, separated by commas. */
  groups: string;
  /** The registered model; undefined until it is loaded. */
  model: IRegisteredModel | undefined;
  /** Data sets of earlier evaluations of the model. */
  known: readonly string[];
  /** All targets; models run on connected ones. */
  targets: readonly ITarget[];
  /** Files of an unknown origin that need a confirmation. */
  checks: readonly IDeployCheck[];
  trust: boolean;
}

/** Evaluate a version on a data set. */
export class EvaluateForm extends FormModel<IEvaluateFields, IBegunEvaluation> {
  constructor(
    private _service: EvaluationsService,
    readonly name: string,
    readonly version: string,
    trans: TranslationBundle
  ) {
    super(
      {
        data: '',
        against: NONE,
        on: HERE,
        id: '',
        label: '',
        groups: '',
        model: undefined,
        known: [],
        targets: [],
        checks: [],
        trust: false
      },
      trans
    );
  }

  get valid(): boolean {
    const { data, checks, trust } = this.fields;
    return data.trim() !== '' && (checks.length === 0 || trust);
  }

  /** Load the versions to compare with, and the data sets of before. */
  async load(): Promise<void> {
    try {
      const [model, evaluations, targets] = await Promise.all([
        this._service.model(this.name),
        this._service.ofModel(this.name),
        // An administrator may have switched targets off.
        this._service.targets().catch(() => [])
      ]);
      const champion = model.versions.find(({ aliases }) =>
        aliases.includes('champion')
      );
      const known = new Set(
        evaluations.map(({ data, digest }) => `${data}@${digest.slice(0, 8)}`)
      );
      this.set({
        model,
        targets,
        known: [...known],
        data: this.fields.data || ([...known][0] ?? ''),
        against:
          champion && champion.version !== this.version
            ? champion.version
            : NONE
      });
    } catch (reason) {
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  protected async send(
    fields: Readonly<IEvaluateFields>
  ): Promise<IBegunEvaluation> {
    try {
      return await this._service.evaluate({
        model: this.name,
        version: this.version,
        data: fields.data.trim(),
        against: fields.against,
        on: fields.on,
        name: '',
        id: fields.id.trim(),
        label: fields.label.trim(),
        groups: fields.groups
          .split(',')
          .map(column => column.trim())
          .filter(Boolean),
        task: '',
        batch_rows: 256,
        // The user trusts only the files that the form showed.
        trust: fields.trust ? fields.checks.map(({ digest }) => digest) : []
      });
    } catch (reason) {
      const error = ApiError.from(reason, this.trans);
      if (error.code === 'confirmation_needed') {
        const checks = (error.details.checks ?? []) as IDeployCheck[];
        this.set({ checks, trust: false });
        // The server's message says what the form shows, and its hint is for the command.
        throw new ApiError({
          status: error.status,
          code: error.code,
          message: this.trans.__(
            'Files of an unknown origin need your confirmation.'
          ),
          hint: this.trans.__(
            'Confirm above that you trust them, then evaluate.'
          )
        });
      }
      throw error;
    }
  }
}
