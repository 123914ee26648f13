import { addIcon, closeIcon, fileIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import {
  ActionButton,
  DownState,
  EmptyState,
  FollowingView,
  IconButton,
  RelativeTime,
  ResourceView,
  ShowMore,
  Tabs,
  confirm,
  openForm,
  tellFailure,
  useRevision
} from '../../core';
import { ITaskNotifier } from '../../tasks/tokens';
import type { IPageContext } from '../loading';

import { PromptAliasFields, PromptAliasForm } from './alias-form';
import { PromptComparison, VersionSelect } from './difference';
import { PromptEditor } from './editor';
import type { IPrompt, IPromptVersion } from './model';
import { PromptsModel } from './model';
import { Optimize } from './optimize';
import { RunOnRows } from './trials';

import '../../../style/core/page.css';
import '../../../style/core/tabs.css';
import '../../../style/registry/history.css';
import '../../../style/genai/prompts.css';

/** Return the page of prompts. `id`: the prompt that it shows first. */
export async function promptsPage({
  app,
  core,
  id,
  state
}: IPageContext): Promise<Widget> {
  const notifier = await app.resolveOptionalService(ITaskNotifier);
  const model = new PromptsModel(core, state, notifier);
  if (id) {
    model.choose(id);
  }
  return new PromptsPage(model);
}

class PromptsPage extends FollowingView<PromptsModel> {
  constructor(model: PromptsModel) {
    super(model);
    const { trans } = model;
    this.addClass('gol-Page');
    this.addClass('gol-Prompts');
    this.node.tabIndex = -1;
    this.title.label = trans.__('Prompts');
    this.title.caption = trans.__('Prompts of MLflow and their versions');
    this.title.icon = fileIcon;
    this.title.closable = true;
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (!this.node.contains(document.activeElement)) {
      this.node.focus({ preventScroll: true });
    }
  }

  protected override render(): React.ReactElement {
    return <Prompts model={this.model} />;
  }
}

/** The list of prompts beside the chosen one. */
export function Prompts(props: { model: PromptsModel }): React.ReactElement {
  const { model } = props;
  const { trans } = model;
  useRevision(model.changed);
  const [starting, setStarting] = React.useState(false);
  return (
    <ResourceView
      resource={model.prompts}
      trans={trans}
      down={trans.__('The prompts cannot be read.')}
      keepMounted
      empty={
        starting ? (
          <Chosen model={model} />
        ) : (
          <EmptyState
            text={trans.__(
              'No prompts. A cell with %1 saves one, and so does this page.',
              '%%prompt NAME'
            )}
            actions={[
              {
                label: trans.__('New prompt'),
                primary: true,
                onClick: () => setStarting(true)
              }
            ]}
          />
        )
      }
    >
      {prompts => (
        <div className="gol-Prompts-columns">
          <PromptList model={model} prompts={prompts} />
          <Chosen model={model} key={model.chosen} />
        </div>
      )}
    </ResourceView>
  );
}

function PromptList(props: {
  model: PromptsModel;
  prompts: readonly IPrompt[];
}): React.ReactElement {
  const { model, prompts } = props;
  const { trans } = model;
  const [word, setWord] = React.useState('');
  const wanted = word.trim().toLowerCase();
  const shown = prompts.filter(({ name }) =>
    name.toLowerCase().includes(wanted)
  );
  const searches = wanted !== '' && model.prompts.hasMore;
  React.useEffect(() => {
    if (searches) {
      void model.prompts.showAll();
    }
  }, [searches, model]);
  return (
    <nav className="gol-Prompts-list" aria-label={trans.__('Prompts')}>
      <div className="gol-Prompts-filter">
        <input
          type="search"
          className="gol-Field-control"
          aria-label={trans.__('Filter prompts by name')}
          placeholder={trans.__('Filter by name')}
          value={word}
          onChange={event => setWord(event.target.value)}
        />
        <IconButton
          icon={addIcon}
          label={trans.__('New prompt')}
          pressed={!model.name}
          onClick={() => model.choose('')}
        />
      </div>
      <ul>
        {shown.map(({ name, newest, aliases, updated_at }) => (
          <li key={name}>
            <button
              type="button"
              className="gol-Prompts-item"
              aria-current={name === model.name ? 'true' : undefined}
              onClick={() => model.choose(name)}
            >
              <span className="gol-Prompts-name">
                {model.isEdited(name) ? trans.__('%1 (not saved)', name) : name}
              </span>
              <span className="gol-Prompts-facts">
                {newest ? `v${newest}` : trans.__('no versions')}
                {Object.keys(aliases).map(alias => (
                  <span key={alias} className="gol-Chip">
                    <span className="gol-Chip-text">{alias}</span>
                  </span>
                ))}
                {updated_at !== null && (
                  <RelativeTime seconds={updated_at} trans={trans} />
                )}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {shown.length === 0 && (
        <p className="gol-Note" role="status">
          {searches
            ? trans.__('Searching all prompts…')
            : trans.__('No prompt has this in its name.')}
        </p>
      )}
      <ShowMore list={model.prompts} trans={trans} />
    </nav>
  );
}

/** The chosen prompt: its version and aliases, the editor, and the comparison. */
function Chosen(props: { model: PromptsModel }): React.ReactElement {
  const { model } = props;
  const { trans, name, version, draft } = model;
  const versions = (model.versions.value ?? []).filter(
    each => each.name === name
  );
  const section = React.useRef<HTMLElement>(null);
  const focusesTab = React.useRef(false);
  const [tab, setTab] = React.useState('edit');
  const [pair, setPair] = React.useState<[string, string] | null>(null);
  // The button that opened the comparison is hidden now, and its tab comes with the second version.
  React.useEffect(() => {
    if (focusesTab.current && tab === 'compare' && versions.length > 1) {
      focusesTab.current = false;
      section.current
        ?.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')
        ?.focus();
    }
  });
  const newest = versions[0]?.version ?? '';
  const known = (wanted: string | undefined, other: string) =>
    versions.some(each => each.version === wanted) ? wanted! : other;
  const before = known(pair?.[0], versions[1]?.version ?? newest);
  const after = known(pair?.[1], newest);
  const { state, error, busy } = model.versions.snapshot;
  // The list says it where nothing can be read. A text that is being written stays.
  const down = name &&
    state === 'down' &&
    error &&
    model.prompts.state !== 'down' && (
      <DownState
        what={trans.__('The versions of this prompt cannot be read.')}
        error={error}
        busy={busy}
        trans={trans}
        onRetry={() => void model.versions.refresh()}
      />
    );
  if (!draft) {
    return down || <section className="gol-Prompt" aria-busy="true" />;
  }
  const compare = (one: string, other: string) => {
    setPair([one, other]);
    setTab('compare');
    focusesTab.current = true;
  };
  const edit = (
    <PromptEditor
      model={model}
      draft={draft}
      onCompare={from => compare(from, newest)}
    />
  );
  return (
    <section
      ref={section}
      className="gol-Prompt"
      aria-label={name || trans.__('New prompt')}
    >
      {down}
      <header className="gol-Page-head">
        <h2>{name || trans.__('New prompt')}</h2>
        {version && (
          <VersionHead model={model} version={version} versions={versions} />
        )}
      </header>
      {version?.message && (
        <p className="gol-Prompt-message">{version.message}</p>
      )}
      {version?.problem && (
        <p className="gol-Field-error" role="alert">
          {version.problem}
        </p>
      )}
      {versions.length > 0 ? (
        <Tabs
          label={trans.__('Prompt %1', name)}
          selected={tab}
          onSelect={setTab}
          tabs={[
            { id: 'edit', label: trans.__('Text'), render: () => edit },
            ...(versions.length > 1
              ? [
                  {
                    id: 'compare',
                    label: trans.__('Compare'),
                    render: (seen: boolean) =>
                      seen && (
                        <PromptComparison
                          model={model}
                          before={before}
                          after={after}
                          onChoose={(one, other) => setPair([one, other])}
                        />
                      )
                  }
                ]
              : []),
            {
              id: 'rows',
              label: trans.__('Run on rows'),
              render: seen => <RunOnRows model={model} seen={seen} />
            },
            {
              id: 'optimize',
              label: trans.__('Optimize'),
              render: seen => (
                <Optimize model={model} seen={seen} onCompare={compare} />
              )
            }
          ]}
        />
      ) : (
        edit
      )}
    </section>
  );
}

/** Which version is shown, its aliases, and what can be done with it. */
function VersionHead(props: {
  model: PromptsModel;
  version: IPromptVersion;
  versions: readonly IPromptVersion[];
}): React.ReactElement {
  const { model, version, versions } = props;
  const { trans, name } = model;
  const attempt = async (action: () => Promise<unknown>) => {
    try {
      await action();
    } catch (reason) {
      tellFailure(reason, trans);
      await model.versions.refresh();
    }
  };
  const chooseVersion = async (chosen: string) => {
    const agreed =
      !model.isEdited(name) ||
      (await confirm({
        title: trans.__('Discard the changes of %1?', name),
        body: trans.__('Version %1 takes the place of your text.', chosen),
        action: trans.__('Discard'),
        danger: true,
        trans
      }));
    if (agreed) {
      model.chooseVersion(chosen);
    }
  };
  const setAlias = () => {
    const form = new PromptAliasForm(model, version.version, trans);
    return openForm({
      title: trans.__('Alias of %1 version %2', name, version.version),
      form,
      render: () => <PromptAliasFields form={form} trans={trans} />,
      action: trans.__('Set alias'),
      trans
    });
  };
  const remove = async () => {
    const last = versions.length === 1;
    const agreed = await confirm({
      title: last
        ? trans.__('Delete the prompt %1?', name)
        : trans.__('Delete version %1 of %2?', version.version, name),
      body: trans.__(
        'This cannot be undone. Programs that load it get an error.'
      ),
      action: trans.__('Delete'),
      danger: true,
      trans
    });
    if (agreed) {
      await (last
        ? model.removePrompt()
        : model.removeVersion(version.version));
    }
  };
  return (
    <>
      <VersionSelect
        label={trans.__('Version')}
        value={version.version}
        versions={versions}
        onChange={chosen => void attempt(() => chooseVersion(chosen))}
      />
      {model.versions.hasMore && (
        <ActionButton
          label={trans.__('Older versions')}
          caption={trans.__(
            'Add older versions to the list; it has the newest %1.',
            versions.length
          )}
          onClick={() => void model.versions.showMore()}
        />
      )}
      {version.aliases.map(alias => (
        <span key={alias} className="gol-Chip">
          <span className="gol-Chip-text">{alias}</span>
          <IconButton
            icon={closeIcon}
            label={trans.__('Remove the alias %1', alias)}
            onClick={() =>
              void attempt(() => model.removeAlias(alias, version.version))
            }
          />
        </span>
      ))}
      {version.created_at !== null && (
        <RelativeTime seconds={version.created_at} trans={trans} />
      )}
      <span className="gol-Page-actions">
        <ActionButton
          label={trans.__('Set alias…')}
          onClick={() => void attempt(setAlias)}
        />
        <ActionButton
          label={trans.__('Delete…')}
          onClick={() => void attempt(remove)}
        />
      </span>
    </>
  );
}
