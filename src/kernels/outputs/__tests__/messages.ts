import { KernelMessage } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';

/** A message as a kernel sends it, an answer to the execution `parent`. */
export function iopub(
  msgType: string,
  content: JSONObject,
  parent = 'run-1'
): KernelMessage.IIOPubMessage {
  const message = KernelMessage.createMessage({
    channel: 'iopub',
    msgType: msgType as 'stream',
    session: 'kernel',
    content: content as never
  });
  return {
    ...message,
    parent_header: { ...message.header, msg_id: parent }
  } as KernelMessage.IIOPubMessage;
}
