"""Media by step, written as artifacts in the worker process. Everything here can be done twice with the same result."""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.recent import Recent
from genops_lab.experiments.limits import MAX_TAG_BYTES, Notes
from genops_lab.experiments.media.histograms import KeptHistogram
from genops_lab.experiments.media.layout import (
    HISTOGRAMS,
    IMAGES,
    PER_PART,
    TABLES,
    fitting_name,
    part_name,
    stepped_name,
)
from genops_lab.experiments.models import TrackingEvent

from .client import told

if TYPE_CHECKING:
    from mlflow import MlflowClient

_HAS_IMAGES_TAG = "mlflow.loggedImages"
_TABLES_TAG = "mlflow.loggedArtifacts"
_ENDINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "webp"}
_REMEMBERED_PARTS = 64
_MAX_ROWS, _MAX_COLUMNS = 1000, 100


class MediaWriter:
    """Writes what kernels send: ``{type, name, step, series, index}`` and, of an ``image``, ``content`` and ``small``
    in base64, of a ``histogram``, ``low``, ``high``, ``counts``, ``nan`` and ``infinite``, of a ``table``, ``columns``
    and ``data``."""

    def __init__(self, client: MlflowClient, scratch: str | None) -> None:
        self._client = client
        self._scratch = scratch
        self._parts: Recent[tuple[str, str], dict[int, bytes]] = Recent(_REMEMBERED_PARTS)
        self._tagged: set[str] = set()

    def write(self, run_id: str, events: list[TrackingEvent], notes: Notes) -> None:
        """Write the events of a batch. What cannot be kept is noted and passed over; raises Unavailable."""
        parts: dict[str, dict[int, bytes]] = {}
        for event in events:
            name = fitting_name(str(event.data.get("name") or ""), notes)
            kind = str(event.data.get("type") or "")
            if kind == "image":
                self._noted(notes, self._image, run_id, name, event)
            elif kind == "table":
                self._noted(notes, self._table, run_id, name, event)
            elif kind == "histogram":
                self._noted(notes, self._histogram, parts, name, event)
            else:
                notes.append(f"{name[:60]!r} is of the unknown kind {kind[:40]!r} and was not kept.")
        for path, lines in parts.items():
            self._noted(notes, self._put_part, run_id, path, lines)

    @staticmethod
    def _noted(notes: Notes, write: Callable[..., None], *arguments: Any) -> None:
        try:
            write(*arguments)
        except (InvalidRequest, NotFound) as refused:
            notes.append(f"{refused.message[:300]} {refused.hint}".strip())

    def _image(self, run_id: str, name: str, event: TrackingEvent) -> None:
        content = _bytes(event.data.get("content"), name)
        ending = next((end for begin, end in _ENDINGS.items() if content.startswith(begin)), "")
        if not ending:
            raise InvalidRequest(
                f"The picture {name[:60]!r} was not kept.", hint="It is no PNG, JPEG, GIF or WebP."
            )
        stem = _stem(run_id, name, event)
        small = _bytes(event.data["small"], name) if event.data.get("small") else content
        self._put(run_id, IMAGES, f"{stem}.{ending}", content)
        self._put(run_id, IMAGES, f"{stem}+compressed.webp", small)  # the name that MLflow's UI looks for
        if run_id not in self._tagged:
            with told(f"A tag of run {run_id} could not be written"):
                self._client.set_tag(run_id, _HAS_IMAGES_TAG, "True")
            self._tagged.add(run_id)

    def _table(self, run_id: str, name: str, event: TrackingEvent) -> None:
        columns, data = event.data.get("columns"), event.data.get("data")
        if not isinstance(columns, list) or not isinstance(data, list) or len(columns) > _MAX_COLUMNS:
            raise InvalidRequest(f"The table {name[:60]!r} was not kept.", hint="It has no columns and rows.")
        file = f"{_stem(run_id, name, event)}.json"
        content = json.dumps({"columns": columns, "data": data[:_MAX_ROWS]}, ensure_ascii=False)
        self._put(run_id, TABLES, file, content.encode("utf-8", "replace"))
        self._announce(run_id, f"{TABLES}/{file}")

    def _announce(self, run_id: str, path: str) -> None:
        """MLflow's UI shows as tables those of this tag: as many as fit."""
        with told(f"The tables of run {run_id} could not be named"):
            kept = self._client.get_run(run_id).data.tags.get(_TABLES_TAG, "[]")
            try:
                named = json.loads(kept)
            except ValueError:
                named = None
            entry = {"path": path, "type": "table"}
            if not isinstance(named, list) or entry in named:
                return
            text = json.dumps([*named, entry])
            if len(text) <= MAX_TAG_BYTES:
                self._client.set_tag(run_id, _TABLES_TAG, text)

    @staticmethod
    def _histogram(parts: dict[str, dict[int, bytes]], name: str, event: TrackingEvent) -> None:
        try:
            kept = msgspec.convert({**event.data, "timestamp": event.timestamp}, KeptHistogram)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"The histogram {name[:60]!r} was not kept.", hint=f"{error}.") from error
        path = f"{HISTOGRAMS}/{part_name(name, kept.series, kept.index // PER_PART)}"
        parts.setdefault(path, {})[kept.index] = msgspec.json.encode(kept)

    def _put_part(self, run_id: str, path: str, lines: dict[int, bytes]) -> None:
        key = (run_id, path)
        known = self._parts.get(key)
        if known is None:
            # One that begins the part has none before it.
            known = {} if min(lines) % PER_PART == 0 else self._read_part(run_id, path)
        whole = {**known, **lines}
        self._put(
            run_id,
            HISTOGRAMS,
            path.partition("/")[2],
            b"\n".join(whole[index] for index in sorted(whole)) + b"\n",
        )
        self._parts[key] = whole

    def _read_part(self, run_id: str, path: str) -> dict[int, bytes]:
        with told(f"The histograms of run {run_id} could not be read"):
            if all(entry.path != path for entry in self._client.list_artifacts(run_id, HISTOGRAMS)):
                return {}
            with tempfile.TemporaryDirectory(prefix="media-", dir=self._scratch) as folder:
                content = Path(self._client.download_artifacts(run_id, path, folder)).read_bytes()
        return {one.index: msgspec.json.encode(one) for one in decoded_lines(content)}

    def _put(self, run_id: str, folder: str, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="media-", dir=self._scratch) as scratch:
            file = Path(scratch) / name
            file.write_bytes(content)
            with told(f"The artifact {name[:80]!r} of run {run_id} could not be written"):
                self._client.log_artifact(run_id, str(file), folder)


def decoded_lines(content: bytes) -> list[KeptHistogram]:
    """The histograms of a file; a line that is none is passed over."""
    found = []
    for line in content.splitlines():
        try:
            found.append(msgspec.json.decode(line, type=KeptHistogram))
        except msgspec.DecodeError:  # torn, or somebody else's
            continue
    return found


def _stem(run_id: str, name: str, event: TrackingEvent) -> str:
    step = event.data.get("step")
    at = step if isinstance(step, int) and not isinstance(step, bool) and abs(step) < 2**63 else 0
    same = uuid.uuid5(uuid.NAMESPACE_OID, f"{run_id}/{event.data.get('series')}/{event.seq}")
    return stepped_name(name, at, event.timestamp, str(same))


def _bytes(text: object, name: str) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{name[:60]!r} was not kept.", hint="It did not come whole.") from error
