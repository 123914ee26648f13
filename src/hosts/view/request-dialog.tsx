import type { IEditorFactoryService } from '@jupyterlab/codeeditor';
import { CodeEditor } from '@jupyterlab/codeeditor';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { CopyButton, openForm } from '../../core';

import type { RequestForm } from '../request';
import type { IHostRequest } from '../service';

import '../../../style/hosts/request.css';

/**
 * Show what a start sends, to read, copy, edit and keep. @returns what starts
 * send from now on, or undefined when the user kept nothing.
 */
export async function openRequestDialog(
  form: RequestForm,
  editors: IEditorFactoryService,
  trans: TranslationBundle
): Promise<IHostRequest | undefined> {
  const isYaml = form.request.language === 'yaml';
  return openForm({
    title: isYaml
      ? trans.__('The YAML of a kernel’s pod on “%1”', form.target)
      : trans.__('The batch script of a kernel on “%1”', form.target),
    form,
    render: () => <RequestView form={form} editors={editors} trans={trans} />,
    action: trans.__('Keep for this target'),
    focus: '.gol-Request .cm-content',
    trans
  });
}

/** The text in an editor, with what keeping it means. */
export function RequestView(props: {
  form: RequestForm;
  editors: IEditorFactoryService;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { request } = form;
  return (
    <div className="gol-Request">
      <p className="gol-Note">
        {request.can_keep
          ? trans.__(
              'Edit this text and keep it: later starts are built on it. The target’s fields and the parts of GenOps Lab take precedence. An empty text keeps no template.'
            )
          : trans.__(
              'A start sends this text. It follows from the target’s fields.'
            )}
      </p>
      {request.template && (
        <p className="gol-Note">{trans.__('Built on %1', request.template)}</p>
      )}
      <Editor {...props} />
      <div className="gol-Actions">
        <CopyButton
          text={() => form.fields.text}
          label={trans.__('Copy this text')}
          word={trans.__('Copy')}
          trans={trans}
        />
      </div>
    </div>
  );
}

/** JupyterLab's own editor. Escape leads to the next control, since Tab indents. */
function Editor(props: Parameters<typeof RequestView>[0]): React.ReactElement {
  const { form, editors, trans } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const editor = React.useRef<CodeEditor.IEditor>();
  React.useEffect(() => {
    const { language, text, can_keep } = { ...form.request, ...form.fields };
    const model = new CodeEditor.Model({
      mimeType: language === 'yaml' ? 'text/x-yaml' : 'text/x-sh'
    });
    model.sharedModel.setSource(text);
    model.sharedModel.changed.connect(() =>
      form.set({ text: model.sharedModel.getSource() })
    );
    const made = editors.newDocumentEditor({
      host: host.current!,
      model,
      config: { lineNumbers: true, lineWrap: false, readOnly: !can_keep }
    });
    host.current
      ?.querySelector('.cm-content')
      ?.setAttribute('aria-label', trans.__('Text of the request'));
    editor.current = made;
    return () => {
      made.dispose();
      model.dispose();
    };
  }, [form, editors]);
  const { line } = form;
  React.useEffect(() => {
    if (line !== undefined) {
      const position = { line: line - 1, column: 0 };
      editor.current?.setCursorPosition(position);
      editor.current?.revealPosition(position);
      editor.current?.focus();
    }
  }, [line, form.snapshot.error]);
  return (
    <div
      ref={host}
      className="gol-Request-editor"
      data-takes-enter="true"
      data-takes-escape="true"
    />
  );
}
