"""Read a report of Nsight Compute, result by result, without Nsight Compute.

``.ncu-rep`` is read as NVIDIA describes it (``extras/FileFormat`` in ncu's folder). All headers are read
first, because the names of metrics are numbered over the whole file, and a result may use a name from a later
block.
"""

from __future__ import annotations

import contextlib
import math
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from genops_lab.core.errors import InvalidRequest, NotFound

from ...models import KernelMetric, KernelMetrics
from .kinds_of_files import FileKind, kind_of_file
from .ncu_results import Outline, Result, messages, metric_instances, metric_value, metrics_of, result_of
from .wire import Damaged

#: Most results of a file.
MOST_RESULTS = 100_000
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
#: Largest ratio of an unpacked report to its gzip; most reports shrink to a fifth.
_MOST_PACKED = 200

_PERCENT = re.compile(r"\.pct(?:_of_peak_\w+)?$|_pct$")
_SINGLE = {
    "launch__registers_per_thread": "register/thread",
    "launch__registers_per_thread_allocated": "register/thread",
    "launch__thread_count": "thread",
    "sm__maximum_warps_avg_per_active_cycle": "warp",
    "smsp__maximum_warps_avg_per_active_cycle": "warp",
}
_BEGINNINGS = (
    ("launch__block_dim_", "block"),
    ("launch__occupancy_limit_", "block"),
    ("launch__shared_mem_per_block", "byte/block"),
)
#: A counter without one of these suffixes (bank conflicts, wavefronts) has no unit.
_COUNTERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"__time(?:_|$)"), "nsecond"),
    (re.compile(r"(?:^|_)wavefronts|bank_conflicts"), ""),
    (re.compile(r"(?:^|_)sectors(?:_|$)"), "sector"),
    (re.compile(r"(?:^|_)requests(?:_|$)"), "request"),
    (re.compile(r"(?:^|_)bytes(?:_|$)"), "byte"),
    (re.compile(r"__cycles_(?:active|elapsed)$"), "cycle"),
    (re.compile(r"__warps_(?:active|eligible)$"), "warp"),
    (re.compile(r"__(?:sass_)?(?:thread_)?inst_(?:executed|issued)"), "inst"),
)
_ROLLED = re.compile(r"\.(?:sum|avg|min|max)(?P<rate>\.\w+)?")


class Report:
    """A report. ``outline`` is the content of its headers; ``damage`` has sentences on unreadable parts."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Raises OSError, and InvalidRequest for a file that is not a report of Nsight Compute."""
        self._stream, self._name = stream, name
        self.outline = Outline(stream, name)
        self.damage: list[str] = []
        self._met = 0

    def results(self, after: int = 0, only: int | None = None) -> Iterator[Result]:
        """Yield the results of blocks that begin at byte ``after`` or later, in file order with their
        numbers; only number ``only`` if given."""
        number = large = odd = 0
        size = self._stream.seek(0, 2)
        for block in self.outline.blocks:
            if block.at < after:
                continue
            try:
                here = None if only is None else only - number
                for kind, message in messages(self._stream, block, size, here):
                    number += 1
                    self._met += 1
                    if message is None:
                        large += only is None
                        continue
                    if number > MOST_RESULTS and only is None:
                        self.damage.append(
                            f"The report has more than {MOST_RESULTS:,} results: only these were read."
                        )
                        return
                    try:
                        yield result_of(kind, message, block.process, number - 1)
                    except Damaged:
                        odd += 1
            except Damaged as error:
                if block.end <= size:
                    self.damage.append(
                        f"The block at byte {block.at:,} is damaged and was read only in part ({error})."
                    )
        if large:
            self.damage.append(f"Results left out because they are too large: {large}.")
        if odd:
            self.damage.append(f"Results left out because they are damaged: {odd}.")

    def require_any(self) -> None:
        """Raise InvalidRequest if ``results`` found no result; results that were left out count."""
        if self._met:
            return
        if self.outline.damage or self.damage:
            raise InvalidRequest(
                f"{self._name} is cut off or damaged before its first result: it has nothing to show.",
                hint="Copy it again. If the original is damaged too, ncu ended before it measured a GPU kernel: "
                "measure again.",
            )
        raise InvalidRequest(
            f"{self._name} has no results.",
            hint="Copy it again when ncu has ended. If it still has none, ncu measured no GPU kernel: check the output "
            "of ncu and its filters (--kernel-name, --launch-skip, --nvtx-include).",
        )

    def name(self, number: int) -> str:
        """Return the name of a metric; empty for an unknown number."""
        return self.outline.names[number] if 0 <= number < len(self.outline.names) else ""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Report]:
    """Open a report. A gzipped one (from a target) is unpacked into a file without a name first.

    Raises NotFound, and InvalidRequest for a file that is not a report of Nsight Compute.
    """
    if kind_of_file(path) is not FileKind.NSIGHT_COMPUTE:
        raise InvalidRequest(
            f"{path.name} is not a report of Nsight Compute.", hint="Give a file that ncu wrote (.ncu-rep)."
        )
    with path.open("rb") as stream, tempfile.TemporaryFile() as plain:
        if stream.read(len(_GZIP)) != _GZIP:
            yield Report(stream, path.name)
            return
        damage = _unpack(stream, plain)
        report = Report(plain, path.name)
        report.damage += damage
        yield report


def _json_value(value: float | str | None) -> float | str:
    """Replace NaN and infinity, which JSON does not have."""
    if value is None:
        return ""
    return value if isinstance(value, str) or math.isfinite(value) else str(value)


def _unpack(stream: BinaryIO, plain: BinaryIO) -> list[str]:
    """Unpack the report; return sentences on data that could not be unpacked."""
    most = _MOST_PACKED * stream.seek(0, 2)
    stream.seek(0)
    inflater = zlib.decompressobj(wbits=31)
    try:
        while (piece := inflater.unconsumed_tail or stream.read(_PIECE)) and not inflater.eof:
            plain.write(inflater.decompress(piece, _PIECE))
            if plain.tell() > most:
                return [f"The report was unpacked up to {plain.tell():,} bytes; the rest was not read."]
    except zlib.error as error:
        return [f"The compressed report is damaged; the part before was read ({error})."]
    return [] if inflater.eof else ["The compressed report is cut off; the part before was read."]


def kernel_metrics(path: Path, number: int) -> KernelMetrics:
    """Return all metrics of result ``number`` of a report, counted from 0, sorted by name.

    Raises NotFound without such a result, and InvalidRequest for a file that is not a report of Nsight
    Compute.
    """
    with opened(path) as report:
        result = next(report.results(only=number), None) if number >= 0 else None
    if result is None:
        raise NotFound(
            f"{path.name} has no result {number}.",
            hint="Results are numbered from 0, in the order of the file.",
        )
    found = []
    try:
        for name_number, message in metrics_of(result):
            name, value = report.name(name_number), metric_value(message)
            if name:
                instances = metric_instances(message)
                found.append(
                    KernelMetric(
                        name=name,
                        value=_json_value(value),
                        unit=unit_of(name) if value is not None and not isinstance(value, str) else "",
                        instances=instances,
                    )
                )
    except Damaged:
        # Earlier metrics are kept.
        found.append(KernelMetric(name="(damaged)", value="Later metrics cannot be read."))
    return KernelMetrics(
        number=number, name=result.name, metrics=sorted(found, key=lambda metric: metric.name)
    )


def unit_of(name: str) -> str:
    """Return the unit; empty where there is none, or where it is not certain."""
    if _PERCENT.search(name):
        return "%"
    if name in _SINGLE:
        return _SINGLE[name]
    for beginning, unit in _BEGINNINGS:
        if name.startswith(beginning):
            return unit
    counter = name.partition(".")[0]
    rolled = _ROLLED.fullmatch(name, len(counter))
    if rolled is None:
        return ""
    unit = next((unit for form, unit in _COUNTERS if form.search(counter)), "")
    rate = rolled["rate"] or ""
    if not unit or not rate:
        return unit
    if rate == ".per_second":
        return f"{unit}/second"
    # Warps per cycle are warps.
    return unit if unit == "warp" else f"{unit}/cycle" if rate.startswith((".per_cycle", ".peak")) else ""
