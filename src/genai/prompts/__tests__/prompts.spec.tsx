import type { IStateDB } from '@jupyterlab/statedb';
import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { act, fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';

import type { IGenOpsCore } from '../../../core/tokens';
import { newTurn } from '../draft';
import { PromptsModel } from '../model';
import { Prompts } from '../page';

const trans = nullTranslator.load('genops_lab');

interface IParams {
  path?: { name: string };
  query?: { after?: string };
}

/** A Lab with pages of two prompts and of one version, which answers a save when the test says so. */
function lab() {
  const saved: { turns: { content: string }[] }[] = [];
  const answers: ((fails?: boolean) => void)[] = [];
  let isAway = false;
  const versionOf = (name: string, version: string) => ({
    name,
    version,
    kind: 'chat',
    turns: [{ ...newTurn('user'), content: `${name} ${version}` }],
    settings: {},
    tools: [],
    response_format: null,
    aliases: [],
    created_at: null
  });
  const http = {
    GET: (path: string, { params }: { params: IParams }) =>
      isAway
        ? Promise.reject(new Error('away'))
        : Promise.resolve(
            path === '/prompts'
              ? {
                  items: (params.query?.after
                    ? ['apology']
                    : ['greeting', 'farewell']
                  ).map(name => ({
                    name,
                    newest: '1',
                    aliases: {},
                    updated_at: null
                  })),
                  next: params.query?.after ? '' : 'page 2'
                }
              : {
                  items: [
                    versionOf(
                      params.path!.name,
                      params.query?.after ? '1' : '2'
                    )
                  ],
                  next: params.query?.after ? '' : 'page 2'
                }
          ),
    POST: (
      _: string,
      given: { params: { path: { name: string } }; body: (typeof saved)[0] }
    ) =>
      new Promise((resolve, reject) => {
        saved.push(given.body);
        const version = versionOf(given.params.path.name, '3');
        answers.push(fails =>
          fails
            ? reject(new Error('away'))
            : resolve({ version, made: true, between: [] })
        );
      })
  };
  const changed = new Signal<object, void>({});
  const core = {
    api: { http, data: (answer: unknown) => answer },
    events: { changed: () => changed, resync: changed },
    trans
  } as unknown as IGenOpsCore;
  return {
    core,
    saved,
    answer: (fails?: boolean) => answers.shift()!(fails),
    goAway: () => {
      isAway = true;
    }
  };
}

const told = () => new Promise(resolve => setTimeout(resolve, 0));
/** Longer than the time after which a text is kept. */
const kept = () => new Promise(resolve => setTimeout(resolve, 500));
const said = (text: string) => ({
  turns: [{ ...newTurn('user'), content: text }]
});

/** A page that shows the prompt greeting. */
async function opened(
  core: IGenOpsCore,
  state: IStateDB | null = null
): Promise<PromptsModel> {
  const model = new PromptsModel(core, state);
  await model.prompts.refresh();
  await told();
  expect(model.name).toBe('greeting');
  return model;
}

it('keeps what is written while a version is saved', async () => {
  const { core, saved, answer } = lab();
  const model = await opened(core);
  model.edit(said('First'));
  const saving = model.save();
  model.edit(said('First and more'));
  expect(model.saving.busy).toBe(true);
  await model.save(); // the first one has not ended
  answer();
  await saving;
  expect(saved).toHaveLength(1);
  expect(model.saving.said).toBe('Saved as version 3.');
  expect(model.draft?.turns[0].content).toBe('First and more');
  expect(model.draft?.newest).toBe('3'); // its own save is no change of another person
});

it('stays at the prompt that is chosen while another one is saved', async () => {
  const { core, answer } = lab();
  const model = await opened(core);
  model.edit(said('Hello'));
  const saving = model.save();
  model.choose('farewell');
  answer();
  await saving;
  expect(model.name).toBe('farewell');
  expect(model.saving).toEqual({ busy: false, said: '' });
  expect(model.isEdited('greeting')).toBe(false);
});

it('keeps a text that could not be saved', async () => {
  const { core, answer } = lab();
  const model = await opened(core);
  model.edit(said('Hello'));
  const saving = model.save();
  model.choose('farewell');
  answer(true);
  await saving;
  expect(model.saving.error).toBeUndefined(); // it would stand below another prompt
  expect(model.isEdited('greeting')).toBe(true);
});

it('has the texts of a page that was closed', async () => {
  const { core } = lab();
  const first = await opened(core);
  first.edit(said('Half of a'));
  first.dispose();
  const second = await opened(core);
  expect(second.draft?.turns[0].content).toBe('Half of a');
  second.discard();
  second.dispose();
  expect((await opened(core)).isEdited('greeting')).toBe(false);
});

it('has the texts of a page that was reloaded', async () => {
  const state = new StateDB();
  const first = await opened(lab().core, state);
  first.edit(said('Half of a'));
  await kept();
  // A reload makes an API of its own. What a person wrote since wins, and other values are no texts.
  const key = 'genops-lab:prompt-drafts';
  const texts = (await state.fetch(key)) as object;
  await state.save(key, { ...texts, broken: { turns: 'none' } });
  const second = new PromptsModel(lab().core, state);
  await told();
  expect(second.isEdited('greeting')).toBe(true);
  expect(second.isEdited('broken')).toBe(false);
  await second.prompts.refresh();
  expect(second.draft?.turns[0].content).toBe('Half of a');
  second.discard();
  await kept();
  expect((await opened(lab().core, state)).isEdited('greeting')).toBe(false);
});

it('saves no turn without a text', async () => {
  const { core, saved, answer } = lab();
  const model = await opened(core);
  model.edit({
    turns: [{ ...newTurn('system'), content: 'Be kind.' }, newTurn('user')]
  });
  const saving = model.save();
  answer();
  await saving;
  expect(saved[0].turns.map(({ content }) => content)).toEqual(['Be kind.']);
});

it('shows a text that is being written while MLflow is away', async () => {
  const { core, goAway } = lab();
  const model = await opened(core);
  render(<Prompts model={model} />);
  act(() => model.edit(said('Half of a')));
  const text = screen.getByLabelText<HTMLTextAreaElement>('Text of turn 1');
  goAway();
  await act(() => model.versions.refresh());
  screen.getByText('The versions of this prompt cannot be read.');
  expect(screen.getByLabelText('Text of turn 1')).toBe(text);
  await act(() => model.prompts.refresh());
  screen.getByText('The prompts cannot be read.');
  expect(screen.getAllByText('away')).toHaveLength(1);
  expect(text.value).toBe('Half of a');
});

it('asks before another version takes the place of a text', async () => {
  const { core } = lab();
  const model = await opened(core);
  render(<Prompts model={model} />);
  act(() => model.edit(said('Half of a')));
  const choice = screen.getByRole<HTMLSelectElement>('combobox', {
    name: 'Version'
  });
  fireEvent.change(choice, { target: { value: '2' } });
  // JupyterLab draws the title and the buttons of a dialog one after the other.
  await screen.findByText('Discard the changes of greeting?');
  const cancel = await screen.findByText('Cancel');
  fireEvent.click(cancel);
  await told();
  expect(model.isEdited('greeting')).toBe(true);
});

it('searches all prompts, also those that are not listed yet', async () => {
  const { core } = lab();
  const model = await opened(core);
  render(<Prompts model={model} />);
  expect(screen.queryByText('apology')).toBeNull();
  const filter = screen.getByLabelText('Filter prompts by name');
  fireEvent.change(filter, { target: { value: 'apol' } });
  screen.getByText('Searching all prompts…');
  await screen.findByText('apology');
  fireEvent.change(filter, { target: { value: 'nobody' } });
  screen.getByText('No prompt has this in its name.');
});

it('lists older versions when it is asked to', async () => {
  const { core } = lab();
  const model = await opened(core);
  render(<Prompts model={model} />);
  expect(screen.queryByText('v1', { selector: 'option' })).toBeNull();
  fireEvent.click(screen.getByText('Older versions'));
  await screen.findByText('v1', { selector: 'option' });
  expect(screen.queryByText('Older versions')).toBeNull();
});
