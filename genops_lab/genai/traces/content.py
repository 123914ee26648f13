"""Show what a span was asked and what it answered: chat turns, tool calls, documents, pictures, or bounded text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .models import (
    Attribute,
    ChatTurn,
    RetrievedDocument,
    SpanContent,
    SpanEvent,
    Text,
    ToolCall,
)
from .pictures import Picture
from .tree import INPUTS, KIND, OUTPUTS, RawSpan, attributes_of, finite, value_at

MOST_CHARACTERS = 5_000_000
#: Of each text of a session, which may have a hundred traces.
_SESSION_CHARACTERS = 200_000
_MOST_TURNS, _MOST_DOCUMENTS, _MOST_ATTRIBUTES, _MOST_EVENTS = 500, 200, 300, 200
_PICTURE_BYTES = 2_000_000
#: Characters of all pictures of a span.
_PICTURES_BYTES = 8_000_000
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
#: MLflow moves pictures out of the spans into files, and leaves this in their place.
_ATTACHMENT = "mlflow-attachment://"
#: Large pictures of an evaluation are in its own folder.
_OF_EVALUATION = "attachment:"
#: Attributes that are shown elsewhere.
_SHOWN = (INPUTS, OUTPUTS, KIND, "mlflow.traceRequestId")
_SOURCES = ("doc_uri", "source", "url", "file", "path")
#: Names of arguments and of results that have what was said.
_SPOKEN = (
    "question",
    "query",
    "prompt",
    "input",
    "message",
    "answer",
    "response",
    "output",
    "text",
    "content",
)
_ANSWERS = ("content", "text", "output_text", "response", "answer")


def content_of(
    trace_id: str, raw: RawSpan, begin_ns: int, characters: int, attached: Callable[[str], bytes | None]
) -> SpanContent:
    """Return a span's content, with at most ``characters`` of each text. ``attached`` reads MLflow's attachments."""
    most = min(max(characters, 0), MOST_CHARACTERS)
    attributes = attributes_of(raw)
    inputs = value_at(attributes, INPUTS)
    outputs = value_at(attributes, OUTPUTS)
    reading = _Reading(most, trace_id, attached)
    kind = str(value_at(attributes, KIND) or "")
    turns = [*reading.turns(inputs, False), *reading.turns(outputs, True)][:_MOST_TURNS]
    return SpanContent(
        trace_id=trace_id,
        span_id=raw.span_id,
        inputs=_text(inputs, most) if INPUTS in attributes else None,
        outputs=_text(outputs, most) if OUTPUTS in attributes else None,
        # A plain text or a lone answer is no chat.
        turns=turns if any(not turn.is_answer for turn in turns) else [],
        documents=list(reading.documents(outputs)) if kind == "RETRIEVER" else [],
        attributes=_attributes(attributes, most),
        events=list(_events(raw, begin_ns, most)),
    )


def documents_of(value: Any) -> list[str]:
    """Return the texts of documents, in the forms of a retriever's outputs.

    >>> documents_of({"documents": [{"title": "Post", "text": "It is open."}, "It is near."]})
    ['It is open.', 'It is near.']
    """
    reading = _Reading(MOST_CHARACTERS, "", lambda _id: None)
    return [each.text.text for each in reading.documents(value)]


def shown_pictures(parts: Any) -> list[Picture]:
    """Return the pictures among the parts of a turn, as far as they may be shown."""
    reading = _Reading(MOST_CHARACTERS, "", lambda _id: None)
    return list(next(reading.turns([{"role": "user", "content": parts}], False)).pictures)


class Exchanges:
    """Read what the first spans of a session's traces were asked and answered; all of them share the room for pictures.

    Each text keeps at most ``characters``.
    """

    def __init__(self, characters: int) -> None:
        self._most = min(max(characters, 0), _SESSION_CHARACTERS)
        self._pictures_left = _PICTURES_BYTES

    def of(self, trace_id: str, raw: RawSpan, attached: Callable[[str], bytes | None]) -> list[ChatTurn]:
        """Return the turns since the last answer, without instructions, and the answer.

        A request that is no chat is a turn of its user, an answer that is no chat one of the assistant.
        """
        attributes = attributes_of(raw)
        reading = _Reading(self._most, trace_id, attached, self._pictures_left)
        inputs, outputs = value_at(attributes, INPUTS), value_at(attributes, OUTPUTS)
        asked, answered = list(reading.turns(inputs, False)), list(reading.turns(outputs, True))
        # The requests of a chat repeat all turns before.
        before = max((at for at, turn in enumerate(asked) if turn.role == "assistant"), default=-1)
        asked = [turn for turn in asked[before + 1 :] if turn.role != "system"]
        if not asked and inputs is not None:
            asked = [ChatTurn(role="user", text=_text(_spoken(inputs), self._most))]
        if not answered and outputs is not None:
            text = _text(_spoken(outputs), self._most)
            answered = [ChatTurn(role="assistant", is_answer=True, text=text)]
        self._pictures_left = reading.pictures_left
        return [*asked[-_MOST_TURNS:], *answered[:_MOST_TURNS]]


def _spoken(value: Any) -> Any:
    """Return what a person or a model said in an object, such as ``{"question": "Why?", "user": 7}``.

    An object with one text is that text. Others are as they are.
    """
    if not isinstance(value, dict):
        return value
    text = _first_text(value, _SPOKEN)
    if text is None and len(value) == 1:
        (lone,) = value.values()
        text = lone if isinstance(lone, str) else None
    return value if text is None else text


def _text(value: Any, most: int) -> Text:
    """Return a text; a value that is no text as indented JSON."""
    is_json = not isinstance(value, str)
    text = json.dumps(value, indent=2, ensure_ascii=False) if is_json else value
    return Text(text=text[:most], characters=len(text), is_cut=len(text) > most, is_json=is_json)


def _attributes(attributes: Mapping[str, Any], most: int) -> list[Attribute]:
    names = sorted(name for name in attributes if name not in _SHOWN)[:_MOST_ATTRIBUTES]
    return [Attribute(name=name, value=_text(value_at(attributes, name), most)) for name in names]


def _events(raw: RawSpan, begin_ns: int, most: int) -> Iterator[SpanEvent]:
    events = raw.content.get("events")
    for event in events[:_MOST_EVENTS] if isinstance(events, list) else []:
        if not isinstance(event, dict):
            continue
        at, attributes = event.get("time_unix_nano"), event.get("attributes")
        yield SpanEvent(
            name=str(event.get("name", "")),
            at=((at if isinstance(at, int) else raw.start_ns) - begin_ns) / 1e9,
            attributes=_attributes(attributes, most) if isinstance(attributes, dict) else [],
        )


class _Reading:
    """Finds chat turns and documents in the forms of OpenAI, Anthropic, LangChain and OpenTelemetry."""

    def __init__(
        self,
        most: int,
        trace_id: str,
        attached: Callable[[str], bytes | None],
        pictures_left: int = _PICTURES_BYTES,
    ) -> None:
        self._most = most
        self._trace_id = trace_id
        self._attached = attached
        #: Characters that are left for pictures.
        self.pictures_left = pictures_left

    def turns(self, value: Any, is_answer: bool) -> Iterator[ChatTurn]:
        """Yield the turns of inputs, or of outputs."""
        if isinstance(value, list):
            if is_answer and len(value) == 1 and isinstance(value[0], list):  # LangChain: a batch of one
                value = value[0]
            for each in value:
                if isinstance(each, dict) and ("role" in each or _langchain_role(each)):
                    yield self._turn(each, is_answer)
            return
        if not isinstance(value, dict):
            return
        if isinstance(value.get("system"), str | list) and not is_answer:
            yield self._turn({"role": "system", "content": value["system"]}, False)
        if isinstance(value.get("instructions"), str) and not is_answer and "input" in value:
            yield self._turn({"role": "system", "content": value["instructions"]}, False)
        if isinstance(value.get("choices"), list):
            for choice in value["choices"]:
                message = choice.get("message") if isinstance(choice, dict) else None
                if isinstance(message, dict):
                    yield self._turn({"role": "assistant", **message}, is_answer)
            return
        for name in ("messages", "input", "output", "generations"):
            found = value.get(name)
            if isinstance(found, list):
                found = found[0] if found and isinstance(found[0], list) else found
                yield from self.turns(found, is_answer)
                return
        if _is_plain_response(value):
            yield self._turn({"role": "user", "content": value["input"]}, is_answer)
        elif "role" in value or _langchain_role(value):
            yield self._turn(value, is_answer)

    def _turn(self, message: dict[str, Any], is_answer: bool) -> ChatTurn:
        inner = message.get("message") or message.get("data") or message.get("kwargs")
        if isinstance(inner, dict) and "content" in inner and "content" not in message:
            message = {**inner, "type": inner.get("type", message.get("type"))}
        role = message.get("role") or _langchain_role(message) or ("assistant" if is_answer else "user")
        texts: list[str] = []
        calls: list[ToolCall] = []
        pictures: list[Picture] = []
        call_id = message.get("tool_call_id") or message.get("call_id") or ""
        content = message.get("content", message.get("parts"))
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, dict):
                kind = str(part.get("type", ""))
                if kind in ("tool_use", "tool_call", "function_call"):
                    calls.append(self._call(part))
                elif kind in ("tool_result", "tool_call_response"):
                    call_id = call_id or part.get("tool_use_id") or part.get("id") or ""
                    texts.append(_plain(part.get("content", part.get("response", part.get("result")))))
                elif (source := _picture_of(part)) is not None:
                    pictures.append(self._picture(source))
                elif (
                    text := next((part[key] for key in _ANSWERS if isinstance(part.get(key), str)), None)
                ) is not None:
                    texts.append(text)
                else:
                    texts.append(_plain(part))
        asked = message.get("tool_calls")
        calls += (
            [self._call(each) for each in asked if isinstance(each, dict)] if isinstance(asked, list) else []
        )
        if isinstance(refusal := message.get("refusal"), str):
            texts.append(refusal)
        return ChatTurn(
            role=str(role),
            text=_text("\n".join(texts), self._most),
            is_answer=is_answer,
            call_id=str(call_id),
            tool_calls=calls,
            pictures=pictures,
        )

    def _call(self, call: Mapping[str, Any]) -> ToolCall:
        function = call.get("function")
        found: Mapping[str, Any] = function if isinstance(function, dict) else call
        arguments = found.get("arguments", found.get("args", found.get("input", "")))
        return ToolCall(
            name=str(found.get("name", "")),
            arguments=_text(arguments, self._most),
            call_id=str(call.get("id") or call.get("call_id") or ""),
        )

    def _picture(self, url: str) -> Picture:
        size = len(url)
        attachment = urlsplit(url) if url.startswith(_ATTACHMENT) else None
        if attachment is not None:
            given = parse_qs(attachment.query)
            kind, size = given.get("content_type", [""])[0], _whole(given.get("size", ["0"])[0]) * 4 // 3
            url = f"data:{kind};base64,"
            if given.get("trace_id", [""])[0] != self._trace_id:
                return Picture(note="The picture belongs to another trace.")
        elif url.startswith(_OF_EVALUATION):
            return Picture(note="The trace has no large pictures. The page of the evaluation shows this one.")
        elif not url.startswith("data:"):
            return Picture(note=f"The picture is elsewhere and is not fetched: {url[:200]}")
        if not _PICTURE.match(url):
            return Picture(note=f"This kind of picture is not shown: {url[:60]}")
        if size > min(_PICTURE_BYTES, self.pictures_left):
            return Picture(note=f"The picture is too large to show: {size / 1e6:.1f} MB.")
        if attachment is not None:
            content = self._attached(attachment.hostname or "")
            if content is None or len(content) * 4 // 3 > min(_PICTURE_BYTES, self.pictures_left):
                return Picture(note="MLflow cannot show the picture: its file is missing or too large.")
            url += base64.b64encode(content).decode()
        elif not _BASE64.fullmatch(url.partition(",")[2]):
            return Picture(note="The picture is damaged.")
        self.pictures_left -= len(url)
        return Picture(url=url)

    def documents(self, value: Any) -> Iterator[RetrievedDocument]:
        """Yield the documents of a retriever's outputs."""
        if isinstance(value, dict):
            value = next((value[key] for key in ("documents", "docs", "results") if key in value), [])
        for each in value[:_MOST_DOCUMENTS] if isinstance(value, list) else []:
            if isinstance(each, str):
                yield RetrievedDocument(text=_text(each, self._most))
            if not isinstance(each, dict):
                continue
            given = each.get("metadata")
            metadata: dict[str, Any] = given if isinstance(given, dict) else {}
            text = _first_text(each, ("page_content", "text", "content", "document"))
            source = next((metadata[key] for key in _SOURCES if metadata.get(key)), each.get("id") or "")
            score = each.get("score", metadata.get("score", metadata.get("similarity_score")))
            yield RetrievedDocument(
                text=_text(each if text is None else text, self._most),
                source=str(source)[:500],
                score=finite(score),
                metadata=_text(metadata, self._most) if metadata else None,
            )


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _first_text(part: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((part[name] for name in names if isinstance(part.get(name), str)), None)


def _is_plain_response(value: Mapping[str, Any]) -> bool:
    """Return whether inputs are those of OpenAI's responses with a plain text."""
    return isinstance(value.get("input"), str) and "model" in value


def _langchain_role(message: Mapping[str, Any]) -> str:
    known = {
        "human": "user",
        "ai": "assistant",
        "AIMessageChunk": "assistant",
        "system": "system",
        "tool": "tool",
    }
    kind = message.get("type")
    has_content = any(key in message for key in ("content", "data", "kwargs", "message"))
    return known.get(kind, "") if isinstance(kind, str) and has_content else ""


def _picture_of(part: Mapping[str, Any]) -> str | None:
    """Return the address of a picture, a data URL where its bytes are in the part; None for another part."""
    url = part.get("image_url")
    if isinstance(url, dict):
        url = url.get("url")
    if isinstance(url, str):
        return url
    source = part.get("source")
    if part.get("type") == "image" and isinstance(source, dict):
        if isinstance(source.get("data"), str):
            if source["data"].startswith(_ATTACHMENT):
                return str(source["data"])
            return f"data:{source.get('media_type', 'image/png')};base64,{source['data']}"
        return str(source.get("url", ""))
    if part.get("type") == "blob" and isinstance(part.get("content"), str):
        kind = str(part.get("mime_type", ""))
        return f"data:{kind};base64,{part['content']}" if kind.startswith("image/") else None
    return None


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_plain(each) for each in value)
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
