"""How many replicas there are: the rule over simulated hours, then real processes under a load that comes and goes."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from genops_lab.serving.engines import serve
from genops_lab.serving.gateway.scaling import DOWN_S, Scale, Scaler, needed
from tests.support import fake_vllm
from tests.support.processes import commands_with, runs
from tests.support.rooms import eventually

from .callers import calling
from .conftest import GatewayProcess, sha
from .scoring import KEY, ScoringProcess
from .test_scorer_bad_days import behaving

__all__ = ["behaving"]

LOOK_S = 0.5
START_S = 20.0


class Simulation:
    """Replicas that take time to start, under a load that ``needs`` gives for each second; None is unknown."""

    def __init__(self, scale: Scale) -> None:
        self.scale, self.scaler = scale, Scaler()
        self.there, self.now, self.settled_at = 1, 0.0, 0.0
        self.changes: list[tuple[float, int]] = []

    def run(self, seconds: float, needs: float | None, noise: random.Random | None = None) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += LOOK_S
            load = needs
            if load and noise:
                load = max(0.0, noise.gauss(load, 0.25 * math.sqrt(load)))
            self.scaler.add(self.scale, self.now, load)
            wanted = self.scaler.count(self.scale, self.there)
            if self.now >= self.settled_at and wanted != self.there:
                self.settled_at = self.now + (START_S if wanted > self.there else 2.0)
                self.there = wanted
                self.changes.append((self.now, wanted))
                self.scaler.forget()


def test_the_number_follows_the_load_within_its_bounds_and_one_change_at_a_time() -> None:
    found = Simulation(Scale(1, 4, concurrency=8))
    found.run(120, needed(found.scale, 4))
    assert found.there == 1 and not found.changes
    found.run(10, needed(found.scale, 30))
    assert found.changes[0][0] < 130 and found.there == 2, "at most doubled, in seconds"
    found.run(60, needed(found.scale, 30))
    assert found.there == 4
    found.run(600, needed(found.scale, 300))
    assert found.there == 4, "max"
    began = found.now
    found.run(600, 0.0)
    downs = [at for at, _ in found.changes if at > began]
    assert found.there == 1 and len(downs) == 3
    assert downs[0] - began > DOWN_S and min(b - a for a, b in itertools.pairwise(downs)) > DOWN_S
    found.scale = Scale(2, 4)
    found.run(1, None)
    assert found.there == 2, "min needs no figures"


def test_a_load_that_varies_about_a_threshold_for_hours_does_not_flap() -> None:
    for mean in (0.95, 1.0, 1.05, 1.5, 2.0, 2.9, 3.0):
        found, chance = Simulation(Scale(1, 5)), random.Random(7)
        found.run(4 * 3600, mean, chance)
        settled = [each for each in found.changes if each[0] > 300]
        assert len(settled) <= 2, (mean, found.changes)
        assert found.there >= mean / 1.1


def test_a_number_is_kept_while_figures_are_missing_and_after_a_gap() -> None:
    found = Simulation(Scale(1, 4))
    found.run(60, 3.0)
    assert found.there == 3
    found.run(3600, None)
    assert found.there == 3
    found.run(DOWN_S / 2, 0.0)
    assert found.there == 3, "a lull that began when figures came back is not a whole window yet"
    found.now += 3600  # the process was stopped
    found.run(DOWN_S / 2, 0.0)
    assert found.there == 3
    found.run(DOWN_S * 3, 0.0)
    assert found.there == 1
    chance = random.Random(3)
    for _ in range(2000):
        found.run(LOOK_S, 2.6 if chance.random() < 0.7 else None)
    assert found.there == 3 and len(found.changes) < 8, "some samples are enough"


def test_a_language_model_needs_replicas_by_its_queue_and_its_cache() -> None:
    scale = Scale(1, 4, engine=True)
    assert needed(scale, 0) == 0.0
    assert needed(scale, 3) is None, "nothing is known"
    assert needed(scale, 3, {"waiting": 0, "kv_use": 0.4}) == 0.5
    assert needed(scale, 12, {"waiting": 8, "working": 4, "kv_use": 0.3}) == 3.0
    assert needed(Scale(1, 4, concurrency=2, engine=True), 6, {"waiting": 0, "kv_use": 0.1}) == 3.0


def test_a_second_process_starts_under_load_and_is_drained_after_it_and_no_request_fails(
    behaving: Path, folder: Path
) -> None:
    """The gateway is killed meanwhile, and so is the first process; at the end the Lab stops the revision."""
    gateway = GatewayProcess(folder, empty_s=300)
    place = gateway.routes / "behaving" / "revisions" / "1"
    place.parent.mkdir(parents=True)
    revival = {"lock": str(folder / "lock"), "argv": ["true"], "log": str(folder / "log.txt"), "route": ""}
    first = ScoringProcess(place, behaving, gateway=revival).runs()
    route = {
        "name": "behaving", "generation": 1, "keys": [{"name": "default", "sha256": sha("of-a-caller")}],
        "revisions": [{"id": 1, "number": 1, "port": first.state["port"], "key": KEY, "weight": 100}],
        "scale": {"min": 1, "max": 2, "concurrency": 3, "up_s": 1, "down_s": 3},
    }  # fmt: skip
    (gateway.routes / "behaving" / "route.json").write_text(json.dumps(route))
    assert gateway.say({"op": "set", "route": route})["applied"]

    def asked() -> dict[str, Any]:
        try:
            return dict(json.loads((place / "replicas.json").read_bytes()))
        except FileNotFoundError:
            return {"ready": 1, "wanted": []}

    body = json.dumps({"dataframe_split": {"columns": ["do", "x"], "data": [["wait", 0.05]]}}).encode()
    path = "/behaving/invocations"
    try:
        with calling(gateway.port, path, "of-a-caller", body, 8) as callers:
            eventually(asked, lambda found: found["ready"] == 2, 60)
            second = json.loads((place / "replicas" / "1" / "state.json").read_bytes())
            eventually(
                lambda: json.loads((place / "replicas" / "1" / "state.json").read_bytes())["requests"],
                lambda count: count > 3,
            )
            assert (
                b'genops_replicas{deployment="behaving",revision="1"} 2'
                in gateway.ask("/metrics", None, "GET", name="", key="of-a-caller").body
            )
        assert asked()["wanted"] == [1]
        with calling(gateway.port, path, "of-a-caller", body, 1) as single:
            eventually(asked, lambda found: (found["ready"], found["wanted"]) == (1, []), 60)
            eventually(lambda: runs(second["pid"]), lambda alive: not alive)
            eventually(lambda: list((place / "replicas").iterdir()), lambda left: not left)
        assert callers.failed == [] and single.failed == []
        route |= {"generation": 2, "scale": {"min": 2, "max": 2}}
        (gateway.routes / "behaving" / "route.json").write_text(json.dumps(route))
        gateway.say({"op": "set", "route": route})
        eventually(asked, lambda found: found["ready"] == 2, 60)
        gateway.end(9)
        gateway.start()
        found = eventually(asked, lambda found: found["ready"] == 2 and found["wanted"])
        replica = json.loads((place / "replicas" / str(found["wanted"][0]) / "state.json").read_bytes())
        assert runs(replica["pid"]) and found["gone"]["requests"] > 3, (
            "it is the same one, and counts are kept"
        )
        first.process.kill()
        first.process.wait(10)
        with calling(gateway.port, path, "of-a-caller", body, 2) as further:
            eventually(lambda: further.done, lambda done: done > 5)
        assert further.failed == [], "the other one goes on"
        (place / "replicas.json").write_text(json.dumps({"wanted": [], "stopped": True}))
        eventually(lambda: runs(replica["pid"]), lambda alive: not alive)
    finally:
        (place / "replicas.json").write_text(json.dumps({"wanted": [], "stopped": True}))
        gateway.end()
        first.end()
    assert "Traceback" not in (folder / "log.txt").read_text()


class EngineProcess:
    """The process of a revision that the stand-in for vLLM serves, as a target starts it."""

    def __init__(self, place: Path, gateway: GatewayProcess, program: Path, silent: Path) -> None:
        place.mkdir(parents=True)
        spec: dict[str, Any] = {
            "folder": str(place), "name": "chat", "number": 1, "model": str(program.parent), "lease_s": 600,
            "key_file": str(place / "key"), "serving": {"engine": "vllm", "settings": {"parallel": 2}},
        }  # fmt: skip
        lock, argv = str(gateway.folder / "lock"), ["true", str(gateway.spec)]
        spec["gateway"] = {"lock": lock, "argv": argv, "log": "", "route": ""}
        for name, text in (
            ("spec.json", json.dumps(spec)),
            ("key", KEY),
            ("lease.json", json.dumps({"until": 4e9})),
        ):
            (place / name).write_text(text)
        variables = {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "FAKE_VLLM_QUEUE": str(silent),
        }
        with (place / "log.txt").open("ab") as lines:
            self.process = subprocess.Popen(
                [sys.executable, serve.__file__, str(place / "spec.json")], env={**os.environ, **variables},
                stdin=subprocess.DEVNULL, stdout=lines, stderr=lines,
            )  # fmt: skip
        self.report = place / "state.json"

    def port(self) -> int:
        state = eventually(
            lambda: _read(self.report), lambda found: found.get("state") not in (None, "starting")
        )
        assert state["state"] == "running", state
        return int(state["port"])


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}


def test_replicas_of_an_engine_follow_its_queue_and_are_kept_while_it_says_nothing(folder: Path) -> None:
    """The stand-in for vLLM works on two requests at once, and the gateway knows the rest from its metrics alone."""
    program, silent = folder / "bin" / "vllm", folder / "silent"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake_vllm.__file__}" "$@"\n')
    program.chmod(0o700)
    gateway = GatewayProcess(folder, empty_s=300)
    place = gateway.routes / "chat" / "revisions" / "1"
    engine = EngineProcess(place, gateway, program, silent)
    route = {
        "name": "chat", "generation": 1, "keys": [{"name": "default", "sha256": sha("of-a-caller")}],
        "revisions": [{"id": 1, "number": 1, "port": engine.port(), "key": KEY, "weight": 100}],
        "scale": {"min": 1, "max": 3, "engine": True, "up_s": 1, "down_s": 3},
    }  # fmt: skip
    (gateway.routes / "chat" / "route.json").write_text(json.dumps(route))
    assert gateway.say({"op": "set", "route": route})["applied"]

    def ready() -> int:
        return int(_read(place / "replicas.json").get("ready", 1))

    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "stream": True}).encode()
    path = "/chat/v1/chat/completions"
    try:
        with calling(gateway.port, path, "of-a-caller", body, 8) as many:
            eventually(ready, lambda count: count == 3, 60)
            # Each process of the revision sees what is asked for, and one of them starts each replica.
            assert len(commands_with(str(program.parent))) == 3
            silent.write_text("")
        with calling(gateway.port, path, "of-a-caller", body, 1) as single:
            eventually(lambda: single.done, lambda count: count > 35, 60)
            assert ready() == 3, "more than twice the time after which a low load ends a replica"
            silent.unlink()
            eventually(ready, lambda count: count == 1, 60)
            eventually(lambda: len(commands_with(str(program.parent))), lambda count: count == 1)
        assert many.failed == [] and single.failed == []
    finally:
        (place / "replicas.json").write_text(json.dumps({"wanted": [], "stopped": True}))
        engine.process.terminate()
        engine.process.wait(20)
        gateway.end()
    assert "Traceback" not in (folder / "log.txt").read_text()
