import type * as nbformat from '@jupyterlab/nbformat';
import type { IOutputAreaModel } from '@jupyterlab/outputarea';
import { KernelMessage } from '@jupyterlab/services';

import { excerptOf } from './excerpt';

/** The outputs of a cell, such as an output area's model. */
export type IOutputs = Pick<
  IOutputAreaModel,
  'add' | 'clear' | 'get' | 'set'
> & {
  readonly length: number;
};

/**
 * Replace the excerpt of a cell's long output by a newer one. Returns whether
 * the message was an excerpt.
 */
export function updateExcerpt(
  outputs: IOutputs,
  message: KernelMessage.IMessage
): boolean {
  if (
    message.header.msg_type !== 'update_display_data' ||
    !KernelMessage.isUpdateDisplayDataMsg(
      message as KernelMessage.IIOPubMessage
    )
  ) {
    return false;
  }
  const { data, metadata } =
    message.content as KernelMessage.IUpdateDisplayDataMsg['content'];
  const excerpt = excerptOf(data);
  if (!excerpt) {
    return false;
  }
  for (let index = outputs.length - 1; index >= 0; index--) {
    if (excerptOf(outputs.get(index).data)?.msg_id === excerpt.msg_id) {
      outputs.set(index, {
        output_type: 'display_data',
        data,
        metadata
      } as nbformat.IDisplayData);
      break;
    }
  }
  return true;
}

/**
 * Writes the messages of one execution into a cell's outputs, as an output area
 * does for its own future. For executions that this page did not send, or has
 * forgotten.
 */
export class OutputsWriter {
  constructor(private _outputs: IOutputs) {}

  /** Returns whether the message was the last of its execution. */
  write(message: KernelMessage.IIOPubMessage): boolean {
    if (KernelMessage.isClearOutputMsg(message)) {
      this._outputs.clear(message.content.wait);
      this._displays.clear();
    } else if (updateExcerpt(this._outputs, message)) {
      return false;
    } else if (KernelMessage.isUpdateDisplayDataMsg(message)) {
      const { data, metadata } = message.content;
      for (const index of this._displays.get(displayIdOf(message)) ?? []) {
        this._outputs.set(index, {
          output_type: 'display_data',
          data,
          metadata
        } as nbformat.IDisplayData);
      }
    } else if (isOutput(message)) {
      this._outputs.add({
        ...message.content,
        output_type: message.header.msg_type
      } as nbformat.IOutput);
      const displayId = displayIdOf(message);
      if (displayId) {
        const indexes = this._displays.get(displayId) ?? [];
        this._displays.set(displayId, [...indexes, this._outputs.length - 1]);
      }
    } else if (KernelMessage.isStatusMsg(message)) {
      return message.content.execution_state === 'idle';
    }
    return false;
  }

  private _displays = new Map<string, number[]>();
}

function isOutput(message: KernelMessage.IIOPubMessage): boolean {
  return (
    KernelMessage.isStreamMsg(message) ||
    KernelMessage.isDisplayDataMsg(message) ||
    KernelMessage.isExecuteResultMsg(message) ||
    KernelMessage.isErrorMsg(message)
  );
}

function displayIdOf(message: KernelMessage.IIOPubMessage): string {
  const { transient } = message.content as {
    transient?: { display_id?: string };
  };
  return transient?.display_id ?? '';
}
