"""A trace to all its sums, from the start of the process: this engine, and HolisticTraceAnalysis on the same files.

Real: 216,092 events of a V100. Synthetic: the same trace again and again in one file, 1.08 and 5.2 million events.
HolisticTraceAnalysis is asked twice: for busy time and kernels alone, and for all sums that both have. Of the largest
file it is asked for all sums only, and ended when it has taken so much longer that the figure is decided; with
GENOPS_BENCH_HTA=all for both and to the end, which takes more than half an hour and 6 GB. In its place stands what
Python takes to read that file at all: six fields of each event by msgspec, without any sum. Processor time counts the
helpers' too. Memory is the largest sum of the proportional sets of a process and its children, looked at 20 times a
second.
"""

from __future__ import annotations

import compileall
import contextlib
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil

import genops_lab
from tests.support.environments import environment_without_lab
from tests.support.real_traces import TRACES

from .figure import Figure

REAL = "v100_2rank_nccl"
TIMES = 3
HTA = ("HolisticTraceAnalysis==0.5.0", "pandas<2.4")
BASELINE = "HolisticTraceAnalysis 0.5, pandas 2.3"
#: With what it has for the sums that the engine makes anyway: kernels by operator take most of its time.
BASELINE_ALL = f"{BASELINE}, all sums that both have"
ENGINE = "import sys; from genops_lab.profiler import analyze; print(analyze(sys.argv[1]).events)"
THEIRS = """
import contextlib, io, logging, sys, warnings
warnings.filterwarnings("ignore")
logging.disable(50)
from hta.trace_analysis import TraceAnalysis
with contextlib.redirect_stdout(io.StringIO()):
    analysis = TraceAnalysis(trace_files={0: sys.argv[1]}, include_last_profiler_step=True)
    analysis.get_temporal_breakdown(visualize=False)
    analysis.get_gpu_kernel_breakdown(visualize=False)
"""
THEIRS_ALL = f"""{THEIRS.rstrip()}
    analysis.get_comm_comp_overlap(visualize=False)
    analysis.get_idle_time_breakdown(ranks=[0], visualize=False)
    analysis.get_cuda_kernel_launch_stats(ranks=[0], visualize=False)
    analysis.get_queue_length_summary(ranks=[0])
    analysis.get_memory_bw_summary(ranks=[0])
    analysis.get_aten_op_kernels_and_delay(ranks=[0])
"""
READING_ALONE = "reading alone: six fields of each event by msgspec, 16 MB at a time, on one core"
READING = """
import sys
import msgspec

class Event(msgspec.Struct, gc=False):
    ph: str = ""
    cat: str = ""
    name: str = ""
    ts: float = 0.0
    dur: float = 0.0
    tid: int | str = 0

decoder = msgspec.json.Decoder(list[Event])
with open(sys.argv[1], "rb") as file:
    text = b""
    while b'"traceEvents"' not in text:
        text += file.read(1 << 20)
    rest = text[text.index(b"[", text.index(b'"traceEvents"')) + 1 :]
    events = 0
    while piece := file.read(16 << 20):
        rest += piece
        end = rest.rindex(b"},\\n") + 1
        events += len(decoder.decode(b"[%b]" % rest[:end]))
        rest = rest[end + 1 :]
    events += len(decoder.decode(b"[" + rest[: rest.rindex(b"]") + 1]))
print(events)
"""
#: So many times faster is wanted, of the real trace and of synthetic ones.
WANTED, WANTED_SYNTHETIC = 20, 40
#: The largest file is read by HolisticTraceAnalysis in 6 GB.
ROOM_BYTES = 8 << 30
WHOLLY = os.environ.get("GENOPS_BENCH_HTA") == "all"
IDS = ("correlation", "External id", "external id")


@dataclass(frozen=True)
class Against:
    """What stands beside the engine: a command that takes the trace's path."""

    name: str
    command: list[str]


@dataclass(frozen=True)
class Cost:
    """Of a process and its children."""

    wall_s: float
    processor_s: float
    memory_mb: float
    #: Before its end, at the limit.
    ended: bool = False


def figures() -> Iterator[Figure]:
    """Times, memory, and how far the sums are from exact arithmetic."""
    yield from _deviations()
    # As pip does when it installs, so that no start compiles.
    compileall.compile_dir(Path(genops_lab.__file__).parent, quiet=2)
    hta = str(environment_without_lab(*HTA))
    theirs = Against(BASELINE, [hta, "-c", THEIRS])
    source = TRACES / "kineto" / f"{REAL}.json.gz"
    with tempfile.TemporaryDirectory(prefix="gol-traces-") as folder:
        plain = Path(folder) / f"{REAL}.json"
        plain.write_bytes(gzip.decompress(source.read_bytes()))
        yield from _costs("216k_events_plain", plain, theirs, target_s=3)
        yield from _costs("216k_events_gz", source, theirs, target_s=3)
        yield from _all_sums("216k_events", plain, hta, WANTED)
        for name, copies, target in (("1m_events", 5, None), ("5m_events", 24, 5.0)):
            path = Path(folder) / f"{name}.json"
            replicate(plain, copies, path)
            # Else the disk is still busy with it while the first one reads.
            os.sync()
            whole = copies == 5 or WHOLLY
            against = theirs if whole else Against(READING_ALONE, [sys.executable, "-c", READING])
            yield from _costs(name, path, against, target_s=target, target_mb=300)
            if whole or psutil.virtual_memory().available > ROOM_BYTES:
                yield from _all_sums(name, path, hta, WANTED_SYNTHETIC, bounded=not whole)
            path.unlink()


def _costs(
    name: str, path: Path, against: Against, *, target_s: float | None, target_mb: float | None = None
) -> Iterator[Figure]:
    # One after the other, so that a machine that is busy for a while is so for both.
    ours: list[Cost] = []
    theirs: list[Cost] = []
    for _ in range(TIMES):
        ours.append(_cost([sys.executable, "-c", ENGINE, str(path)]))
        if against.name != BASELINE or path.stat().st_size < 100 << 20 or not theirs:
            theirs.append(_cost([*against.command, str(path)]))
    for measure, unit, target in (
        ("wall_s", "s", target_s),
        ("memory_mb", "MB", target_mb),
        ("processor_s", "s", None),
    ):
        yield Figure(
            name=f"profile_{name}_{measure}",
            unit=unit,
            values=[getattr(each, measure) for each in ours],
            target=target,
            baseline=against.name,
            baseline_values=[getattr(each, measure) for each in theirs],
            notes={"cores": os.cpu_count(), "load": os.getloadavg()[0]},
        )


def _all_sums(name: str, path: Path, hta: str, wanted: int, *, bounded: bool = False) -> Iterator[Figure]:
    """Beside busy time and kernels also overlap, idle time, launches, queues, copies and kernels by operator."""
    ours = [_cost([sys.executable, "-c", ENGINE, str(path)]) for _ in range(TIMES)]
    wall = statistics.median(each.wall_s for each in ours)
    limit = wall * wanted * 1.25 if bounded else None
    theirs = _cost([hta, "-c", THEIRS_ALL, str(path)], limit)
    notes: dict[str, Any] = {
        "times_faster": round(theirs.wall_s / wall, 1),
        "wanted_times_faster": wanted,
    }
    if theirs.ended:
        notes["baseline_ended_unfinished"] = True
    for measure, unit, more in (("wall_s", "s", notes), ("memory_mb", "MB", {})):
        yield Figure(
            name=f"profile_{name}_all_sums_{measure}",
            unit=unit,
            values=[getattr(each, measure) for each in ours],
            baseline=BASELINE_ALL,
            baseline_values=[getattr(theirs, measure)],
            notes=more,
        )


def _cost(command: list[str], limit_s: float | None = None) -> Cost:
    before = os.times()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    most, ended = 0, False
    while process.poll() is None:
        most = max(most, _memory(process.pid))
        ended = ended or (limit_s is not None and time.perf_counter() - started > limit_s)
        if ended:
            _end(process)
        time.sleep(0.05)
    wall, after = time.perf_counter() - started, os.times()
    if process.returncode and not ended:
        raise RuntimeError(f"{command[:2]} ended with {process.returncode}")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, spent, most / 2**20, ended)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
    process.kill()


def _memory(pid: int) -> int:
    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            total += each.memory_full_info().pss
    except psutil.Error:
        return 0
    return total


def _deviations() -> Iterator[Figure]:
    """The largest relative distance from the truth over all traces that have one, in per cent."""
    from genops_lab.profiling import analyze

    found: dict[str, list[float]] = {"busy": [], "idle": [], "exposed_comm": [], "top_10": []}
    for path in sorted((TRACES / "truth").glob("*.json")):
        truth = json.loads(path.read_text())
        traces = sorted((TRACES / "kineto").glob(f"{path.stem}.json*"))
        if not traces or "busy_us" not in truth:
            continue
        [device] = analyze(traces[0]).devices
        # The truth of this one counts DeepEP's kernels as compute.
        for name in ("busy", "idle") if "h800" in path.stem else ("busy", "idle", "exposed_comm"):
            found[name].append(_apart(getattr(device, f"{name}_us"), truth[f"{name}_us"]))
        for ours, theirs in zip(device.top_kernels, truth["top10_kernels"], strict=True):
            same = (ours.name, ours.count) == (theirs["name"], theirs["count"])
            found["top_10"].append(_apart(ours.total_us, theirs["total_us"]) if same else 100.0)
    for name, values in found.items():
        yield Figure(
            name=f"profile_{name}_off_by",
            unit="%",
            values=[max(values)],
            target=0.1,
            notes={"traces": len(found["busy"])},
        )


def _apart(ours: float, truth: float) -> float:
    return 100 * abs(ours - truth) / truth if truth else 100 * float(abs(ours) > 0.05)


def replicate(source: Path, copies: int, target: Path) -> None:
    """The events of ``source`` ``copies`` times, one after the other in time, with ids and steps of their own."""
    document = msgspec.json.decode(source.read_bytes())
    events = document.pop("traceEvents")
    body = [event for event in events if event.get("ph") != "M"]
    timed = [event for event in body if event.get("ph") == "X"]
    span = max(event["ts"] + event["dur"] for event in timed) - min(event["ts"] for event in timed) + 1000
    ids = [_identity(event.get("args", {}).get(key)) for event in timed for key in IDS]
    ids += [_identity(event.get("id")) for event in body]
    ids_of_one = max(ids) + 1
    steps = {event["name"] for event in timed if event["name"].startswith("ProfilerStep#")}
    with target.open("wb") as stream:
        stream.write(msgspec.json.encode(document)[:-1] + b', "traceEvents": [\n')
        stream.write(b",\n".join(msgspec.json.encode(event) for event in events if event.get("ph") == "M"))
        for copy in range(copies):
            moved = (_moved(event, copy * span, copy * ids_of_one, copy * len(steps)) for event in body)
            stream.write(b",\n" + b",\n".join(map(msgspec.json.encode, moved)))
        stream.write(b"\n]}")


def _identity(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _moved(event: dict[str, Any], later: float, ids: int, steps: int) -> dict[str, Any]:
    moved = dict(event)
    if "ts" in moved:
        moved["ts"] += later
    if isinstance(moved.get("id"), int):
        moved["id"] += ids
    arguments = moved.get("args")
    if arguments:
        moved["args"] = {
            key: value + ids if key in IDS and isinstance(value, int) and value >= 0 else value
            for key, value in arguments.items()
        }
    step = re.fullmatch(r"ProfilerStep#(\d+)", moved.get("name", ""))
    if step is not None:
        moved["name"] = f"ProfilerStep#{int(step[1]) + steps}"
    return moved
