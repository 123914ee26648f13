"""Media by step, read in the worker process."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from genops_lab.core.errors import NotFound
from genops_lab.core.recent import Recent
from genops_lab.experiments.media.histograms import KeptHistogram, on_common_bins
from genops_lab.experiments.media.layout import (
    FOLDERS,
    HISTOGRAMS,
    IMAGES,
    TABLES,
    Stepped,
    parse_part,
    parse_stepped,
)
from genops_lab.experiments.media.models import (
    HistogramQuery,
    HistogramSeries,
    MediaEntry,
    MediaSeries,
    RunMedia,
)

from .artifacts import contained, local_path
from .client import MlflowBackend, told
from .media_writing import decoded_lines
from .runs import MlflowRuns

MAX_FILES = 10_000
_MAX_PART_BYTES = 2_000_000
_REMEMBERED_PARTS = 400


class MlflowMedia(MlflowBackend):
    """Reads one MLflow."""

    def __init__(self, tracking_uri: str, scratch: str, **_others: Any) -> None:
        super().__init__(tracking_uri, scratch)
        self._runs = MlflowRuns(tracking_uri)
        self._parts: Recent[tuple[str, str, int | None], list[KeptHistogram]] = Recent(_REMEMBERED_PARTS)

    def media(self, ref: str) -> RunMedia:
        """What a run kept by step: by kind and name, then by step."""
        run_id = self._runs.resolve(ref).run_id
        found: dict[str, list[Any]] = {}
        with told(f"The artifacts of run {run_id} could not be listed"):
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
        """The histograms of one name. Raises NotFound where there is none."""
        run_id = self._runs.resolve(ref).run_id
        with told(f"The histograms of run {run_id} could not be listed"):
            run = self._client.get_run(run_id)
            entries = self._client.list_artifacts(run_id, HISTOGRAMS)
        parts = [entry for entry in entries if parse_part(_name(entry.path)) == query.name]
        if not parts:
            raise NotFound(
                f"The run {run_id} has no histogram {query.name[:80]!r}.",
                hint="Take a name from the run's media.",
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
            except NotFound:  # gone meanwhile, or a link out of the run's folder
                return []
            self._parts[key] = decoded_lines(content)
        return self._parts[key]

    def _content(self, run_id: str, root: Path | None, path: str) -> bytes:
        if root is not None:
            return contained(root, path).read_bytes()
        with (
            tempfile.TemporaryDirectory(prefix="media-", dir=self._scratch) as folder,
            told(f"{path[:80]} of run {run_id} could not be read"),
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
