"""Kernels that do nothing are warned and ended, and none that works: the rules by a clock of the test's own, then
real kernels behind a real agent with a stand-in for nvidia-smi."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.agent import wire
from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.gpus import GpuReader
from genops_lab.agent.gpus.found import Found, gpu
from genops_lab.agent.idle import GpuUse, IdleWatch, Work, held_words, read_work
from genops_lab.agent.idle_policy import IdlePolicy, policy_of

from .hosts import attached
from .waiting import gone, ready, run

GIB = 1024**3


class Bench:
    """A watch with the test's own clock; looks see what ``work`` says."""

    def __init__(self, seconds: float = 1800.0) -> None:
        self.now = 1000.0
        self.percent: float | None = None
        self.cpu_s = 0.0
        self.reported: list[dict[str, Any]] = []
        self.reason = ""
        self.watch = IdleWatch(1, None, self._tell, self._end, clock=lambda: self.now, read=self._read)
        self.watch.change(IdlePolicy(seconds, 5.0))
        self.signer = wire.Signer("k", "hmac-sha256")

    def _tell(self, step: str, **fields: Any) -> None:
        self.reported.append({"step": step, "at": self.now, **fields})

    def _end(self, reason: str) -> None:
        self.reason = reason

    def _read(self) -> Work:
        gpus = () if self.percent is None else (GpuUse(0, self.percent, 0),)
        return Work(self.now, self.cpu_s, 3 * GIB, gpus)

    def pass_time(self, seconds: float, *, busy: bool = False, cpu: float = 0.0) -> Bench:
        """In steps of 5 s, with so much CPU of a core."""
        until = self.now + seconds
        while self.now < until:
            self.now += 5.0
            self.cpu_s += 5.0 * cpu
            self.watch.look(busy)
            thread = self.watch._looks._thread
            if thread is not None:
                thread.join()
        return self

    def steps(self) -> list[str]:
        return [each["step"] for each in self.reported]


def test_it_is_warned_5_minutes_before_and_ended_with_what_it_held() -> None:
    bench = Bench()
    bench.watch.change(IdlePolicy(1800.0, 5.0, 2.49))
    bench.percent = 0.0
    bench.pass_time(1480)
    assert bench.steps() == [] and not bench.reason
    bench.pass_time(60)
    assert bench.steps() == ["warning"] and bench.reported[0]["ends_in_s"] == 300
    assert (
        "been idle for 25 min" in bench.reported[0]["text"]
        and "stopped in 5 min" in bench.reported[0]["text"]
    )
    info = bench.watch.info()
    assert info is not None and 0 < info["ends_in_s"] <= 300
    bench.pass_time(330)
    assert bench.reason == "Ended after 30 min without work; freed 3.0 GiB of memory at 2.49 USD/h."


def test_a_short_policy_warns_for_a_quarter_of_it() -> None:
    assert (IdlePolicy(600, 5).warn_s, IdlePolicy(86400, 5).warn_s) == (150, 300)


def test_a_busy_gpu_keeps_a_quiet_kernel_for_the_whole_time_anew() -> None:
    bench = Bench()
    bench.percent = 80.0
    bench.pass_time(7200)
    assert bench.steps() == [] and not bench.reason
    bench.percent = 5.0  # the bound itself is no work
    bench.pass_time(1400)
    assert bench.steps() == []
    bench.pass_time(1000)
    assert bench.reason


def test_a_gpu_that_gets_busy_after_the_warning_calls_it_off() -> None:
    bench = Bench()
    bench.percent = 0.0
    bench.pass_time(1600)
    bench.percent = 50.0
    bench.pass_time(60)
    assert bench.steps() == ["warning", "kept"]


def test_background_work_on_the_cpu_keeps_it_and_breathing_does_not() -> None:
    bench = Bench()
    bench.pass_time(4000, cpu=0.5)
    assert bench.steps() == []
    bench.pass_time(2000, cpu=0.02)
    assert bench.reason


def test_a_running_cell_and_a_kernel_that_says_busy_keep_it() -> None:
    bench = Bench()
    request = bench.signer.request("execute_request", {})
    bench.watch.asked(request[2])
    bench.pass_time(7200)
    assert bench.steps() == []
    reply = [
        wire.DELIMITER,
        b"",
        json.dumps({"msg_type": "execute_reply"}).encode(),
        request[2],
        b"{}",
        b"{}",
    ]
    bench.watch.said(reply)
    bench.pass_time(1400).pass_time(7200, busy=True)
    assert bench.steps() == [] and not bench.reason


def test_what_a_front_end_sends_of_itself_is_no_person() -> None:
    bench = Bench()
    for _ in range(8):
        bench.watch.asked(bench.signer.request("kernel_info_request", {})[2])
        bench.pass_time(200)
    assert bench.steps() == ["warning"]
    bench.watch.asked(bench.signer.request("comm_msg", {})[2])
    assert bench.steps() == ["warning", "kept"]


def test_to_keep_it_gives_the_whole_time_and_another_policy_too() -> None:
    bench = Bench()
    bench.pass_time(1700)
    bench.watch.keep()
    assert bench.steps() == ["warning", "kept"]
    bench.pass_time(1400)
    bench.watch.change(IdlePolicy(1800.0, 5.0))
    bench.pass_time(200)
    assert bench.steps() == ["warning", "kept", "warning"], "the same policy goes on"
    bench.watch.change(IdlePolicy(60.0, 5.0))
    assert bench.watch.info() == {"seconds": 60.0, "gpu_percent": 5.0, "ends_in_s": None}
    bench.watch.change(None)
    bench.pass_time(90000)
    assert not bench.reason and bench.watch.info() is None


def test_a_keeper_that_was_held_up_warns_before_it_ends() -> None:
    bench = Bench()
    bench.pass_time(1000)
    bench.now += 90000
    bench.pass_time(40)
    assert bench.steps() == ["warning"] and not bench.reason
    bench.pass_time(200)
    assert not bench.reason
    bench.pass_time(100)
    assert bench.reason


@pytest.mark.parametrize(
    "given", [{"seconds": 0}, {"seconds": -1}, {"seconds": float("nan")}, {"seconds": 1e12}, {"gpu_percent": 5},
              {"seconds": 60, "gpu_percent": 101}, {"seconds": 60, "gpu_percent": float("nan")}],
)  # fmt: skip
def test_what_is_no_policy(given: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        policy_of(given)


def test_whose_gpus_count() -> None:
    """Those where the kernel's processes are, and those that its environment names."""
    own = psutil.Process().pid
    cards = [
        gpu(0, "nvidia", uuid="GPU-aaaaaaaa-1", utilization_percent=1.0,
            processes=[{"pid": own, "user": "", "memory_bytes": 21 * GIB}]),
        gpu(1, "nvidia", uuid="GPU-bbbbbbbb-2", utilization_percent=99.0, processes=[]),
        gpu(2, "nvidia", uuid="GPU-cccccccc-3", utilization_percent=98.0, processes=[]),
    ]  # fmt: skip
    reader = GpuReader([lambda: Found("ok", "", cards)])
    seen = {visible: [use.number for use in read_work(own, visible, reader).gpus] for visible in
            (None, "", "2", "0,1", "GPU-bbbbbbbb", "-1")}  # fmt: skip
    assert seen == {None: [0], "": [0], "2": [0, 2], "0,1": [0, 1], "GPU-bbbbbbbb": [0, 1], "-1": [0]}
    work = read_work(own, None, reader)
    assert work.memory_bytes > 1e6 and work.gpus[0].memory_bytes == 21 * GIB
    assert held_words(Work(0, 0, 31 * GIB // 10, (GpuUse(0, 0.0, 214 * GIB // 10), GpuUse(3, 0.0, GIB)))) == (
        "; freed 21.4 GiB of GPU memory on GPU 0, 1.0 GiB of GPU memory on GPU 3 and 3.1 GiB of memory"
    )


def a_gpu(folder: Path) -> dict[str, str]:
    """A stand-in for nvidia-smi: a card as busy as ``folder/busy`` says, held by the process in ``folder/pid``."""
    path = folder / "bin" / "nvidia-smi"
    path.parent.mkdir()
    path.write_text(
        f"#!{sys.executable}\nimport pathlib\nhere = pathlib.Path({str(folder)!r})\n"
        "pid = (here / 'pid').read_text() if (here / 'pid').exists() else '1'\n"
        "print(f'''<nvidia_smi_log><gpu id=\"0\"><product_name>Test</product_name><uuid>GPU-1</uuid>"
        "<fb_memory_usage><total>81920 MiB</total><used>20480 MiB</used></fb_memory_usage>"
        "<utilization><gpu_util>{(here / 'busy').read_text()} %</gpu_util></utilization><processes><process_info>"
        "<pid>{pid}</pid><used_memory>20480 MiB</used_memory></process_info></processes></gpu></nvidia_smi_log>''')"
    )
    path.chmod(0o755)
    (folder / "busy").write_text("90")
    return {"PATH": f"{path.parent}:{os.environ['PATH']}"}


def test_a_busy_gpu_keeps_a_kernel_and_an_idle_one_lets_it_end(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home, **a_gpu(agent_home)) as host:
            client = await ready(host, idle={"seconds": 3600, "gpu_percent": 5})
            pid = client.welcome["pid"]
            (agent_home / "pid").write_text(str(pid))
            msg_id = client.execute("held = 1")
            await client.done(msg_id)
            info = await host.call("kernels.policy", kernel_id="k", idle={"seconds": 2, "gpu_percent": 5})
            assert info["idle"] == {"seconds": 2.0, "gpu_percent": 5.0, "ends_in_s": None}
            looks = agent_home / "looks"
            script = agent_home / "bin" / "nvidia-smi"
            script.write_text(script.read_text() + f"\nopen({str(looks)!r}, 'a').write('.')")
            while not looks.exists() or len(looks.read_text()) < 3:
                await asyncio.sleep(0.05)
            assert (await host.call("kernels.info", kernel_id="k"))["state"] == "running"
            assert not client.notes()
            (agent_home / "busy").write_text("0")
            await client.until(lambda: client.end)
            assert client.end is not None and client.end[1]["ended_by"] == "idle"
            assert client.end[1]["reason"].startswith(
                "Ended after 2 s without work; freed 20.0 GiB of GPU memory on GPU 0 and "
            )
            kinds = [note.get("step") or note["kind"] for note in client.notes()]
            assert kinds[0] == "warning" and kinds[-2:] == ["warning", "ended"]
            await gone(pid)

    run(test)


def test_a_kernel_is_kept_and_ends_while_nobody_is_there(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host, idle={"seconds": 8})
            await client.until(lambda: client.notes())
            assert (await host.call("kernels.info", kernel_id="k"))["idle"]["ends_in_s"] is not None
            assert (await host.call("kernels.keep", kernel_id="k"))["idle"]["ends_in_s"] is None
            await client.until(lambda: len(client.notes()) > 1)
            assert [note["step"] for note in client.notes()[:2]] == ["warning", "kept"]
            pid = client.welcome["pid"]
        await gone(pid)
        async with attached(agent_home) as host:
            info = await host.call("kernels.info", kernel_id="k")
            assert info["state"] == "ended" and info["ended_by"] == "idle"
            assert info["reason"].startswith("Ended after 8 s without work; freed ")
            late = await host.kernel("k").welcomed()
            await late.until(lambda: late.end)
            assert late.notes()[-1]["reason"] == info["reason"]
            with pytest.raises(ChannelReset) as found:
                await host.call("kernels.keep", kernel_id="k")
            assert found.value.code == "ended"

    run(test)


def test_an_impossible_policy_is_refused_and_changes_nothing(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            with pytest.raises(ChannelReset) as found:
                await host.start("k", idle={"seconds": 0})
            assert found.value.code == "invalid"
            await ready(host, idle={"seconds": 600})
            with pytest.raises(ChannelReset) as found:
                await host.call("kernels.policy", kernel_id="k", idle={"seconds": -5})
            assert found.value.code == "invalid"
            assert (await host.call("kernels.info", kernel_id="k"))["idle"]["seconds"] == 600

    run(test)
