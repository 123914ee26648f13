import type { TranslationBundle } from '@jupyterlab/translation';
import type { Contents } from '@jupyterlab/services';
import { PathExt } from '@jupyterlab/coreutils';

import { ApiError, FormModel, everyPage } from '../../core';
import type { GenOpsApi } from '../../core';
import type { IEndpoint } from '../endpoints/service';

import type { INewFile, IPromptVersion, Part } from './new-file';
import { dataFrom, fileText, isPlain, partOf } from './new-file';
import { EXAMPLES } from './scorer-fields';
import type { AnswersService } from './service';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;

export interface INewFields {
  name: string;
  /** From the folder of JupyterLab, `dataset:NAME` or `traces:QUERY`. */
  data: string;
  /** The prompt of MLflow whose versions are compared; empty: the text. */
  promptName: string;
  prompt: string;
  /** Versions of the prompt by their numbers. */
  versions: readonly string[];
  models: readonly IEndpoint[];
  scorers: string;
  repeats: number;
  maxTokens: number;
  /** NaN: no limit. */
  money: number;
  prompts: readonly string[];
  /** Files of the folder that may have rows. */
  files: readonly string[];
  /** The versions of the chosen prompt; undefined while they load. */
  known: readonly IPromptVersion[] | undefined;
  /** What the server said of the fields. */
  refused: Partial<Record<Part, string>>;
}

/** Writes an evaluation file. Nothing is written that the server would refuse. Resolves to the file's path. */
export class NewForm extends FormModel<INewFields, string> {
  constructor(
    private _api: GenOpsApi,
    private _service: Pick<AnswersService, 'plan'>,
    private _contents: Pick<Contents.IManager, 'get' | 'save' | 'localPath'>,
    /** The folder of the file, as the file browser names it. */
    readonly folder: string,
    trans: TranslationBundle
  ) {
    super(
      {
        name: '',
        data: '',
        promptName: '',
        prompt: '',
        versions: [],
        models: [],
        scorers: EXAMPLES.exact,
        repeats: 1,
        maxTokens: 512,
        money: NaN,
        prompts: [],
        files: [],
        known: undefined,
        refused: {}
      },
      trans
    );
  }

  /** Where the file is written. */
  get path(): string {
    const { name } = this.fields;
    return PathExt.join(this.folder, `${name || this.trans.__('NAME')}.yaml`);
  }

  /** The problems of the values, by field; of empty fields there are none. */
  get problems(): Partial<Record<keyof INewFields, string>> {
    const { trans } = this;
    const { name, repeats, maxTokens, money, models, refused } = this.fields;
    const found: Partial<Record<keyof INewFields, string>> = { ...refused };
    if (name && !NAME.test(name)) {
      found.name = trans.__(
        'Use up to 100 letters, digits, dots, hyphens and underscores, and begin with a letter or digit.'
      );
    }
    if (!Number.isInteger(repeats) || repeats < 1 || repeats > 100) {
      found.repeats = trans.__('Enter a whole number from 1 to 100.');
    }
    if (!Number.isInteger(maxTokens) || maxTokens < 1) {
      found.maxTokens = trans.__('Enter a whole number above 0.');
    }
    const unpriced = models.find(({ price }) => !price);
    if (!Number.isNaN(money)) {
      if (money < 0.000001) {
        found.money = trans.__('Enter an amount above 0, or leave it empty.');
      } else if (unpriced) {
        found.money = trans.__(
          '%1 has no price, so a budget of money cannot be kept. Add the price on the page Endpoints.',
          unpriced.name
        );
      }
    }
    const written = this._versions.find(version => !isPlain(version));
    if (written) {
      found.versions = trans.__(
        'Version %1 has tools, pictures or statements of Jinja2, which this form cannot write. Choose another version.',
        written.version
      );
    }
    return found;
  }

  get valid(): boolean {
    const { name, data, prompt, promptName, versions, models, scorers } =
      this.fields;
    const { refused } = this.fields;
    return (
      [name, data, scorers.trim()].every(Boolean) &&
      (promptName ? versions.length > 0 : prompt.trim() !== '') &&
      models.length > 0 &&
      Object.keys(this.problems).every(each => each in refused)
    );
  }

  override set(part: Partial<INewFields>): void {
    super.set({ refused: {}, ...part });
  }

  /** List the prompts, and propose a name that is free in the folder. */
  async load(): Promise<void> {
    const { http } = this._api;
    const [listing, prompts] = await Promise.all([
      this._contents.get(this.folder, { content: true }).catch(() => null),
      everyPage<{ name: string }>(
        (query, signal) =>
          this._api.data(http.GET('/prompts', { params: { query }, signal })),
        ({ name }) => name
      ).catch(() => [])
    ]);
    const found = (listing?.content ?? []) as Contents.IModel[];
    const taken = new Set(found.map(({ name }) => name));
    let name = 'evaluation';
    for (let at = 2; taken.has(`${name}.yaml`); at++) {
      name = `evaluation-${at}`;
    }
    // What was written meanwhile stays.
    this.set({
      name: this.fields.name || name,
      prompts: prompts.map(each => each.name),
      files: found
        .filter(each => /\.(jsonl|csv|tsv|parquet)$/i.test(each.name))
        .map(({ path }) => this._contents.localPath(path))
    });
  }

  /** Choose a prompt of MLflow; empty: the text of the form. */
  async choosePrompt(promptName: string): Promise<void> {
    this.set({ promptName, versions: [], known: undefined });
    if (!promptName) {
      return;
    }
    try {
      const known = await everyPage<IPromptVersion>(
        (query, signal) =>
          this._api.data(
            this._api.http.GET('/prompts/{name}/versions', {
              params: { path: { name: promptName }, query },
              signal
            })
          ),
        ({ version }) => version
      );
      if (promptName === this.fields.promptName) {
        // Two newest versions: what a person compares most often.
        const versions = known.slice(0, 2).map(({ version }) => version);
        this.set({ known, versions });
      }
    } catch (reason) {
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  protected async send(fields: Readonly<INewFields>): Promise<string> {
    const { path } = this;
    const file = this._file(fields);
    const text = fileText(file);
    await this._checkFree(path);
    try {
      await this._service.plan({
        text,
        path: this._contents.localPath(path),
        on: ''
      });
    } catch (reason) {
      throw this._told(file, ApiError.from(reason, this.trans));
    }
    await this._contents.save(path, {
      type: 'file',
      format: 'text',
      content: text
    });
    return path;
  }

  private async _checkFree(path: string): Promise<void> {
    const found = await this._contents
      .get(path, { content: false })
      .catch(() => null);
    if (found) {
      const said = this.trans.__('There is a file with this name already.');
      super.set({ refused: { name: said } });
      throw new ApiError({
        status: 409,
        code: 'conflict',
        message: this.trans.__('The file %1 exists.', path),
        hint: this.trans.__('Choose another name.')
      });
    }
  }

  /** The error of a plan, which stands at its field too where the field is known. */
  private _told(file: INewFile, error: ApiError): ApiError {
    const { line } = error.details as { line?: number };
    const parts: Record<string, Part> = {
      not_found: 'data',
      no_column: 'prompt'
    };
    const part = line === undefined ? parts[error.code] : partOf(file, line);
    if (part) {
      super.set({ refused: { [part]: error.message } });
    }
    return error;
  }

  private get _versions(): IPromptVersion[] {
    const { promptName, versions, known = [] } = this.fields;
    return promptName
      ? known.filter(({ version }) => versions.includes(version))
      : [];
  }

  private _file(fields: Readonly<INewFields>): INewFile {
    const { name, data, prompt, models, scorers } = fields;
    const { repeats, maxTokens, money } = fields;
    return {
      name,
      data: dataFrom(this._contents.localPath(this.folder), data),
      prompt,
      // The oldest first: differences are those to the first one.
      versions: this._versions.reverse(),
      models: models.map(each => each.name),
      scorers,
      repeats,
      maxTokens,
      money
    };
  }
}
