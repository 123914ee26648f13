"""What kernels may say in tests, and how others would read it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from genops_lab.kernels.outputs.models import Execution
from genops_lab.kernels.outputs.recorder import Recorder

KERNEL = "kernel-1"


def only(recorder: Recorder) -> Execution:
    (found,) = recorder.executions(KERNEL)
    return found


# JupyterLab's model of a stream (packages/outputarea/src/model.ts: processText), written as there.


def as_jupyterlab(pieces: list[str]) -> str:
    text, index = "", 0
    for piece in pieces:
        for character in piece:
            if character == "\b":
                if index > 0 and text[index - 1] != "\n":
                    text = text[: index - 1] + text[index + 1 :]
                    index -= 1
            elif character == "\r":
                while index > 0 and text[index - 1] != "\n":
                    index -= 1
            elif character == "\n":
                text += "\n"
                index = len(text)
            else:
                text = text[:index] + character + text[index + 1 :]
                index += 1
    return text


PIECES = st.lists(st.text(alphabet="ab \n\r\b€", max_size=12), max_size=12)


# nbclient as the oracle.

DATA = st.fixed_dictionaries({"text/plain": st.text(max_size=5)})


DISPLAY_IDS = st.sampled_from([None, "one", "two"])


MESSAGES = st.one_of(
    st.tuples(st.just("stream"), st.sampled_from(["stdout", "stderr"]), st.text("ab\n\r\b", max_size=6)),
    st.tuples(st.just("display_data"), DATA, DISPLAY_IDS),
    st.tuples(st.just("update_display_data"), DATA, st.sampled_from(["one", "two", "other"])),
    st.tuples(st.just("execute_result"), DATA, st.none()),
    st.tuples(st.just("clear_output"), st.booleans(), st.none()),
    st.tuples(st.just("error"), st.text("ab", max_size=3), st.none()),
)


def content_of(message: tuple[Any, ...], count: int = 1) -> dict[str, Any]:
    kind, one, two = message
    if kind == "stream":
        return {"name": one, "text": two}
    if kind == "clear_output":
        return {"wait": one}
    if kind == "error":
        return {"ename": one, "evalue": one, "traceback": [one]}
    content = {"data": one, "metadata": {}, "transient": {"display_id": two} if two else {}}
    return {**content, "execution_count": count} if kind == "execute_result" else content


def merged(outputs: list[Any]) -> list[dict[str, Any]]:
    """nbclient's outputs with each stream as one, as JupyterLab has it."""
    found: list[dict[str, Any]] = []
    pieces: list[str] = []
    for output in map(dict, outputs):
        if output["output_type"] == "stream":
            if found and found[-1].get("name") == output["name"]:
                pieces.append(output["text"])
            else:
                pieces = [output["text"]]
                found.append(output)
            found[-1]["text"] = as_jupyterlab(pieces)
        else:
            found.append(output)
    return json.loads(json.dumps(found))
