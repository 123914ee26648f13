"""Read and write media by step as artifacts, in the worker process; writing twice has the same result."""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.recent import Recent
from genops_lab.experiments.limits import MAX_TAG_BYTES, Notes
from genops_lab.experiments.media.histograms import KeptHistogram, on_common_bins
from genops_lab.experiments.media.layout import (
    FOLDERS,
    HISTOGRAMS,
    IMAGES,
    PER_PART,
    TABLES,
    Stepped,
    fitting_name,
    parse_part,
    parse_stepped,
    part_name,
    stepped_name,
)
from genops_lab.experiments.media.models import (
    HistogramQuery,
    HistogramSeries,
    MediaEntry,
    MediaSeries,
    RunMedia,
)
from genops_lab.experiments.models import TrackingEvent

from .artifacts import contained, local_path
from .client import MlflowBackend, mlflow_errors
from .runs import MlflowRuns

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_FILES = 10_000
_MAX_PART_BYTES = 2_000_000
_REMEMBERED_PARTS = 400
_HAS_IMAGES_TAG = "mlflow.loggedImages"
_TABLES_TAG = "mlflow.loggedArtifacts"
_ENDINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "webp"}
_WRITTEN_PARTS = 64
_MAX_ROWS, _MAX_COLUMNS = 1000, 100


class MlflowMedia(MlflowBackend):
    """Reads one MLflow."""

    def __init__(self, tracking_uri: str, scratch: str, **_others: Any) -> None:
        super().__init__(tracking_uri, scratch)
        self._runs = MlflowRuns(tracking_uri)
        self._parts: Recent[tuple[str, str, int | None], list[KeptHistogram]] = Recent(_REMEMBERED_PARTS)

    def media(self, ref: str) -> RunMedia:
        """Return a run's media by kind and name, then by step."""
        run_id = self._runs.resolve(ref).run_id
        found: dict[str, list[Any]] = {}
        with mlflow_errors(f"The artifacts of run {run_id} could not be listed"):
            folders = {entry.path for entry in self._client.list_artifacts(run_id) if entry.is_dir}
            for folder in FOLDERS:
                if folder in folders:
                    entries = self._client.list_artifacts(run_id, folder)
                    found[folder] = [entry for entry in entries if not entry.is_dir]
        series, left_out = [], 0
        for folder, kind in ((IMAGES, "image"), (TABLES, "table")):
            files = found.get(folder, [])
            left_out += max(len(files) - MAX_FILES, 0)
            series += _by_name(kind, files[:MAX_FILES])
        names = {parse_part(_name(entry.path)) for entry in found.get(HISTOGRAMS, [])} - {None}
        series += [MediaSeries(kind="histogram", name=str(name)) for name in sorted(map(str, names))]
        return RunMedia(run_id=run_id, series=series, left_out=left_out)

    def histograms(self, ref: str, query: HistogramQuery) -> HistogramSeries:
        """Return the histograms of one name. Raises NotFound."""
        run_id = self._runs.resolve(ref).run_id
        with mlflow_errors(f"The histograms of run {run_id} could not be listed"):
            run = self._client.get_run(run_id)
            entries = self._client.list_artifacts(run_id, HISTOGRAMS)
        parts = [entry for entry in entries if parse_part(_name(entry.path)) == query.name]
        if not parts:
            raise NotFound(
                f"The run {run_id} has no histogram {query.name[:80]!r}.",
                hint="Use a name from the run's media.",
            )
        root = local_path(run.info.artifact_uri)
        kept = [one for entry in parts for one in self._part(run_id, root, entry)]
        return on_common_bins(run_id, query.name, kept)

    def _part(self, run_id: str, root: Path | None, entry: Any) -> list[KeptHistogram]:
        key = (run_id, str(entry.path), entry.file_size)
        if key not in self._parts:
            if (entry.file_size or 0) > _MAX_PART_BYTES:  # none of ours
                return []
            try:
                content = self._content(run_id, root, str(entry.path))
            except NotFound:  # deleted by now, or a link out of the run's folder
                return []
            self._parts[key] = decoded_lines(content)
        return self._parts[key]

    def _content(self, run_id: str, root: Path | None, path: str) -> bytes:
        if root is not None:
            return contained(root, path).read_bytes()
        with (
            tempfile.TemporaryDirectory(prefix="media-", dir=self._scratch) as folder,
            mlflow_errors(f"{path[:80]} of run {run_id} could not be read"),
        ):
            return Path(self._client.download_artifacts(run_id, path, folder)).read_bytes()


def _by_name(kind: Any, files: list[Any]) -> list[MediaSeries]:
    small: dict[str, str] = {}
    whole: dict[str, list[tuple[Stepped, Any]]] = defaultdict(list)
    for entry in files:
        found = parse_stepped(_name(entry.path))
        if found is not None and found.small:
            small[found.uuid] = entry.path
        elif found is not None:
            whole[found.name].append((found, entry))
    return [
        MediaSeries(
            kind=kind,
            name=name,
            entries=[
                MediaEntry(
                    step=found.step,
                    timestamp=found.timestamp,
                    path=entry.path,
                    size_bytes=entry.file_size,
                    small=small.get(found.uuid, ""),
                )
                for found, entry in sorted(whole[name], key=lambda each: (each[0].step, each[0].timestamp))
            ],
        )
        for name in sorted(whole)
    ]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


class MediaWriter:
    """Writes the kernels' events: ``{type, name, step, series, index}`` and further fields by type.

    An ``image`` has ``content`` and ``small`` in base64. A ``histogram`` has ``low``, ``high``, ``counts``,
    ``nan`` and ``infinite``. A ``table`` has ``columns`` and ``data``.
    """

    def __init__(self, client: MlflowClient, scratch: str | None) -> None:
        self._client = client
        self._scratch = scratch
        self._parts: Recent[tuple[str, str], dict[int, bytes]] = Recent(_WRITTEN_PARTS)
        self._tagged: set[str] = set()

    def write(self, run_id: str, events: list[TrackingEvent], notes: Notes) -> None:
        """Write the events of a batch. An event that cannot be kept becomes a note. Raises Unavailable."""
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
                f"The picture {name[:60]!r} was not kept.", hint="It is not a PNG, JPEG, GIF or WebP."
            )
        stem = _stem(run_id, name, event)
        small = _bytes(event.data["small"], name) if event.data.get("small") else content
        self._put(run_id, IMAGES, f"{stem}.{ending}", content)
        self._put(run_id, IMAGES, f"{stem}+compressed.webp", small)  # the name that MLflow's UI looks for
        if run_id not in self._tagged:
            with mlflow_errors(f"A tag of run {run_id} could not be written"):
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
        """Name a table in the tag from which MLflow's UI shows tables: as many as fit."""
        with mlflow_errors(f"The tables of run {run_id} could not be named"):
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
            # A histogram that begins the part has none before it.
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
        with mlflow_errors(f"The histograms of run {run_id} could not be read"):
            if all(entry.path != path for entry in self._client.list_artifacts(run_id, HISTOGRAMS)):
                return {}
            with tempfile.TemporaryDirectory(prefix="media-", dir=self._scratch) as folder:
                content = Path(self._client.download_artifacts(run_id, path, folder)).read_bytes()
        return {one.index: msgspec.json.encode(one) for one in decoded_lines(content)}

    def _put(self, run_id: str, folder: str, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="media-", dir=self._scratch) as scratch:
            file = Path(scratch) / name
            file.write_bytes(content)
            with mlflow_errors(f"The artifact {name[:80]!r} of run {run_id} could not be written"):
                self._client.log_artifact(run_id, str(file), folder)


def decoded_lines(content: bytes) -> list[KeptHistogram]:
    """Return the histograms of a file; lines of other content are skipped."""
    found = []
    for line in content.splitlines():
        try:
            found.append(msgspec.json.decode(line, type=KeptHistogram))
        except msgspec.DecodeError:  # torn, or another program's
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
        raise InvalidRequest(f"{name[:60]!r} was not kept.", hint="It arrived incomplete.") from error
