"""``%genops memory`` in real kernels, with the real command line.

No GPU is needed: ``torch.cuda``'s functions are stand-ins, which give snapshots in the form of the real ones (or a real
one). What they record is therefore not tested here, what is made of it is.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from genops_lab.profiling.engine.memory import snapshots
from tests.support.homes import Home
from tests.support.needs import need_torch
from tests.support.real_traces import TRACES

from .kernels import RunningKernel

need_torch()
pytestmark = pytest.mark.slow

SOURCE = """
import sys, torch
asked, entries = [], []
def _record_memory_history(enabled="all", **options): asked.append((enabled, options))
def frames():
    frame, found = sys._getframe(2), []
    while frame is not None:
        found.append({"filename": frame.f_code.co_filename, "line": frame.f_lineno, "name": frame.f_code.co_name})
        frame = frame.f_back
    return found
def happened(action, size, **more):
    entries.append({"action": action, "addr": len(entries), "size": size, "stream": 0, "time_us": len(entries),
                    "frames": frames(), **more})
def take(size): happened("alloc", size)
def fail(size):
    happened("oom", size, device_free=1024)
    raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 1
torch.cuda.memory_stats = lambda device: {"num_alloc_retries": 3}
torch.cuda.memory._record_memory_history = _record_memory_history
torch.cuda.memory._snapshot = lambda: {"segments": [], "device_traces": [list(entries)]}
"""
# As a file of torch's: what is inside of it is nobody's own line.
STAND_IN = f"exec(compile({SOURCE!r}, '/env/site-packages/torch/cuda/memory.py', 'exec'))"


@pytest.fixture
def kernel(torch_kernel: RunningKernel) -> RunningKernel:
    """With PyTorch imported."""
    return torch_kernel


def kept(home: Home) -> list[Path]:
    return sorted((home.data / "profiles").glob("*/*")) if (home.data / "profiles").is_dir() else []


def test_without_a_gpu_it_says_so(kernel: RunningKernel, home: Home) -> None:
    for verb in ("record", "stop"):
        cell = kernel.run(f"%genops memory {verb}")
        assert cell.status == "error"
    assert "finds no CUDA device" in kernel.run("%genops memory record").reply["evalue"]
    assert "Start one: `%genops memory record`" in kernel.run("%genops memory show").reply["evalue"]
    assert "invalid choice" in kernel.run("%genops memory dance").reply["evalue"]
    assert "1 or more" in kernel.run("%genops memory record --events 0").reply["evalue"]
    assert kept(home) == []


def test_record_show_stop(kernel: RunningKernel, home: Home) -> None:
    kernel.ok(STAND_IN)
    said = kernel.ok("%genops memory record --events 500").stream("stdout")
    assert "the latest 500 events" in said
    assert kernel.ok("asked").result == "[('all', {'max_entries': 500, 'stacks': 'python'})]"
    kernel.ok("x = 1\nbatch = take(6 << 20)")
    kernel.ok("def layer():\n    take(2 << 20)\nlayer()")
    cell = kernel.ok("%genops memory show")
    (shown,) = cell.of("display_data")
    text = shown["data"]["text/plain"]
    assert "8.0 MiB more, in 2 blocks" in text
    assert "[5] line 2: batch = take(6 << 20)" in text
    assert "[6] line 2 in layer: take(2 << 20)" in text
    assert "retries" in text
    assert kept(home) == [], "a look leaves nothing"
    assert "recording of the memory is already running" in kernel.run("%genops memory record").reply["evalue"]
    cell = kernel.ok("found = %genops memory stop")
    (path,) = kept(home)
    assert path.name == "memory.pickle" and path.stat().st_mode & 0o777 == 0o600
    assert str(path) in cell.stream("stderr")
    assert kernel.ok("found['devices'][0]['peak'], asked[-1]").result == "(8388608, (None, {}))"
    [device] = snapshots.read(path).devices
    assert (device.peak, device.retries) == (8 << 20, 3)
    place = device.sites[0].place
    assert place is not None and (place.file, place.line, place.text) == (
        "[5]",
        2,
        "batch = take(6 << 20)",
    )
    assert "No recording of the memory is running" in kernel.run("%genops memory stop").reply["evalue"]


#: The look for tensors takes those of the CPU for CUDA's: no GPU is needed for names and sizes.
ON_CPU = """
import torch, genops_lab.runtime.memory as memory
memory_lines = memory.memory_lines
memory.memory_lines = lambda device, error: memory_lines("cpu", error)
torch.cuda.current_device = lambda: 0
torch.cuda.mem_get_info = lambda device: (1 << 20, 8 << 30)
torch.cuda.memory_stats = lambda device: {
    "allocated_bytes.all.current": 3 << 30, "allocated_bytes.all.peak": 5 << 30,
    "reserved_bytes.all.current": 6 << 30, "inactive_split_bytes.all.current": 1 << 30, "num_alloc_retries": 2,
}"""


def test_without_a_recording_the_largest_tensors_are_named(kernel: RunningKernel, home: Home) -> None:
    kernel.ok(STAND_IN)
    kernel.ok(ON_CPU)
    kernel.ok("x = 1\nkept = [torch.zeros(8 << 20), 3]")
    kernel.ok("model = torch.nn.Linear(1024, 4096)\nview = kept[0][:5]")
    kernel.ok("model(torch.ones(8192, 1024)).sum().backward()")
    cell = kernel.run(
        "def layer(x):\n    hidden = x.float() + 1\n    fail(1 << 30)\nlayer(torch.ones(6 << 20).double())"
    )
    assert cell.reply["ename"] == "OutOfMemoryError"
    said = cell.stream("stderr")
    assert "cuda:0: 3.0 GiB used by tensors (5.0 GiB at the peak); 6.0 GiB reserved by torch" in said
    assert (
        "1.0 GiB of it free in split blocks; 1.0 MiB of 8.0 GiB free on the device; 2 allocations waited"
        in said
    )
    listed = [line.split("  ") for line in said.splitlines() if " MiB  " in line]
    rows = [[part.strip() for part in line if part.strip()] for line in listed]
    assert rows[0] == ["48.0 MiB", "6291456, float64", "x in layer()"]
    assert rows[1] == ["32.0 MiB", "8388608, float32", "kept[0] ([4] line 2), view ([5] line 2)"]
    assert rows[2] == ["24.0 MiB", "6291456, float32", "hidden in layer()"]
    assert ["16.0 MiB", "4096 × 1024, float32", "model.weight ([5] line 1)"] in rows
    assert ["16.0 MiB", "4096 × 1024, float32", "model.weight.grad ([5] line 1)"] in rows
    assert "blocks belong to tensors in Python" in said
    assert "`%genops memory record`, then run the cell again" in said
    shown = kernel.ok("%genops memory show").stream("stdout")
    assert "kept[0] ([4] line 2)" in shown and kept(home) == []


def test_the_look_for_tensors_ends_in_time(kernel: RunningKernel) -> None:
    kernel.ok("import torch, genops_lab.runtime.memory as held\nx = torch.zeros(1 << 20)")
    assert kernel.ok("held.memory_lines('cuda')").result == "[]"
    kernel.ok("held.LIMIT_S = -1.0")
    assert kernel.ok("held.alive_tensors('cpu').whole").result == "False"


FAILING = """batch = take(64 << 20)
try:
    fail(1 << 30)
except RuntimeError as error:
    raise ValueError("x") from error"""


def test_the_cell_that_had_no_memory_is_told_who_held_it(kernel: RunningKernel, home: Home) -> None:
    kernel.ok(STAND_IN)
    cell = kernel.run("fail(1 << 30)")
    assert cell.reply["ename"] == "OutOfMemoryError"
    assert "`%genops memory record`, then run the cell again" in cell.stream("stderr")
    assert cell.of("display_data") == [] and kept(home) == []
    kernel.ok("%genops memory record")
    kernel.ok("kept_for_later = take(512 << 20)")
    cell = kernel.run(FAILING)
    assert cell.reply["ename"] == "ValueError"
    (shown,) = cell.of("display_data")
    text = shown["data"]["text/plain"]
    assert (
        "1.0 GiB were requested, 1.0 KiB were free on the device, 576.0 MiB were in use by this process"
        in text
    )
    assert "The request came from [6] line 3: fail(1 << 30)." in text
    assert text.index("kept_for_later = take(512 << 20)") < text.index("batch = take(64 << 20)")
    (path,) = kept(home)
    assert str(path) in cell.stream("stderr")
    other = kernel.run("1/0")
    assert other.of("display_data") == [] and "memory" not in other.stream("stderr")


def test_the_profiled_cell_too(kernel: RunningKernel, home: Home) -> None:
    kernel.ok(STAND_IN)
    kernel.ok("%genops memory record")
    cell = kernel.run("%%profile\nx = take(2 << 20)\nfail(1 << 30)")
    assert cell.reply["ename"] == "OutOfMemoryError"
    shown = [each["data"].get("text/plain", "") for each in cell.of("display_data")]
    assert any("x = take(2 << 20)" in text for text in shown)


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real snapshots in ../shared/traces are not here")
def test_a_real_snapshot_goes_through(kernel: RunningKernel, home: Home) -> None:
    real = TRACES / "memory" / "forward.pickle"
    kernel.ok(STAND_IN)
    kernel.ok(f"import pickle\ntorch.cuda.memory._snapshot = lambda: pickle.load(open({str(real)!r}, 'rb'))")
    kernel.ok("%genops memory record")
    cell = kernel.ok("%genops memory stop --json")
    report = json.loads(cell.stream("stdout"))
    truth = json.loads((TRACES / "truth" / "memory_forward.json").read_text())
    assert report["devices"][0]["peak"] == truth["devices"][0]["peak_bytes_in_window"]
    (path,) = kept(home)
    with path.open("rb") as stream:
        assert pickle.load(stream)["genops"]["cells"] == {}, "none of its frames is of this notebook"


def test_a_full_disk_leaves_nothing(kernel: RunningKernel, home: Home) -> None:
    kernel.ok(STAND_IN)
    kernel.ok("%genops memory record")
    kernel.ok(
        "import genops_lab.runtime.memory as m, errno, os\n"
        "class Full:\n"
        "    def dump(*_, **__): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "m.pickle = Full"
    )
    cell = kernel.run("%genops memory show")
    assert "Cannot write the snapshot: No space left on device" in cell.reply["evalue"]
    assert list((home.data / "profiles").iterdir()) == []


def test_an_old_torch(kernel: RunningKernel) -> None:
    kernel.ok(STAND_IN)
    kernel.ok("def old(enabled): ...\ntorch.cuda.memory._record_memory_history = old")
    assert "Install PyTorch 2.1" in kernel.run("%genops memory record").reply["evalue"]
