"""The process that cuts: ``kubernetes`` or ``slurm``, and the kinds of cuts."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.kernels import kernelspecs
from tests.kernels.places import Place, a_place
from tests.support import kubernetes, slurm
from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.sshd import Sshd

from .compute_measures import Line, Numbers, figure, left_out, until
from .remote_measures import Kernel

CUTS = int(os.environ.get("FAULTS", "100"))
COUNT = "import time\nn = 0\nwhile True:\n    print(f'<{n}>', flush=True); n += 1; time.sleep(0.01)"
NAMESPACE = "faults"
_API_PORT = 16443
#: Seconds for output to flow again after a cut.
PATIENCE_S = 60.0
Cut = Callable[[Place, Numbers, str], object]


def main() -> None:
    cluster, *kinds = sys.argv[1:]
    home = Home(Path(os.environ["GENOPS_BENCH_HOME"]))
    try:
        for line in (_kubernetes if cluster == "kubernetes" else _slurm)(home, kinds):
            print(json.dumps(line), flush=True)
    except pytest.skip.Exception as skipped:
        left_out(f"faults of {cluster}: {skipped}")


def counted(name: str, place: Place, cut: Cut) -> Line:
    """Return the figure of one kind: the lost numbers of a cell that counts through all cuts."""
    kernel = Kernel(kernelspecs.name_of(place.route.target))
    kernel_id = str(kernel.manager.kernel_id)
    numbers = Numbers.of(place, kernel)
    kernel.client.execute(COUNT)
    kernel.client.stop_channels()
    numbers.until(5)
    silences = []
    failure = ""
    for _ in range(CUTS):
        time.sleep(random.uniform(0.05, 0.3))
        begun = time.perf_counter()
        try:
            cut(place, numbers, kernel_id)
            numbers.until(5, PATIENCE_S)
        except Exception as error:  # the figure says so
            failure = f"{type(error).__name__}: {error}"[:200]
            break
        silences.append(time.perf_counter() - begun)
    found = numbers.in_order
    place.do(place.remote.stop(place.remote.bridges[kernel_id]))
    place.do(place.remote.close(place.remote.bridges[kernel_id]))
    later = itertools.pairwise(found)
    notes = {
        "of": max(found) + 1, "cuts": len(silences), "twice": len(found) - len(set(found)),
        "out of order": sum(1 for one, following in later if following < one),
        "longest silence": f"{max(silences, default=0):.1f} s",
        **({"failed": failure} if failure else {}),
    }  # fmt: skip
    return figure(f"fault_{name}", "lost", [float(max(found) + 1 - len(set(found)))], target=0, notes=notes)


def _new_process(place: Place, numbers: Numbers, kernel_id: str) -> None:
    numbers.in_a_new_process(place, kernel_id)


def _kill(words: str) -> int:
    """Kill this process's children that have these words in their command; return how many."""
    count = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if words in " ".join(child.cmdline()):
                child.kill()
                count += 1
    return count


def _kubernetes(home: Home, kinds: list[str]) -> Iterator[Line]:
    with kubernetes.a_cluster() as cluster, FaultProxy(_API_PORT) as proxy:
        cluster.namespace(NAMESPACE)
        through = home.path / "proxied.kubeconfig"
        text = cluster.kubeconfig.read_text()
        through.write_text(text.replace(f":{_API_PORT}", f":{proxy.port}"))

        def carrier(*_: object) -> None:
            if not _kill("kubernetes.exec_child"):
                raise RuntimeError("no process carries the stream")

        def api_server(*_: object) -> None:
            cluster.restart("apiserver")
            until(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok")

        cuts: dict[str, Cut] = {
            "carrier": carrier,
            "api_server": api_server,
            "kubelet": lambda *_: cluster.restart("kubelet"),
            "proxy_reset": lambda *_: proxy.reset(),
            "proxy_hole": lambda *_: proxy.hole(existing=True, new=False),
            "lab": _new_process,
        }
        for kind in kinds:
            config: dict[str, Any] = {"kubeconfig": str(through)} if kind.startswith("proxy") else {}
            with a_place(
                home, cluster.route(kind.replace("_", "-"), NAMESPACE, home.path / kind, **config)
            ) as place:
                yield counted(f"pod_{kind}", place, cuts[kind])


def _slurm(home: Home, kinds: list[str]) -> Iterator[Line]:
    cluster = slurm.Cluster.running("linuxproc")
    try:
        with cluster.login() as login:
            cuts = _slurm_cuts(cluster, login)
            for kind in kinds:
                with a_place(home, cluster.route(login, python=sys.executable, poll_s=1.0)) as place:
                    yield counted(f"slurm_{kind}", place, cuts[kind])
    finally:
        slurm.end()


def _slurm_cuts(cluster: slurm.Cluster, login: Sshd) -> dict[str, Cut]:
    def carrier(*_: object) -> None:
        # The steps of this benchmark's own Slurm, of which a machine has one.
        found = [each for each in psutil.process_iter(["cmdline"]) if _is_step(each.info["cmdline"])]
        if not found:
            raise RuntimeError("no srun carries the stream")
        for each in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    began: list[float] = []

    def slurmctld(*_: object) -> None:
        if not began:  # killed before it has saved a new job, it forgets the job, and Slurm ends it
            began.append(time.time())
            state = cluster.folder / "state" / "job_state"
            until(lambda: state.exists() and state.stat().st_mtime > began[0])
        cluster.end("slurmctld")
        cluster.up()

    return {
        "carrier": carrier,
        "slurmctld": slurmctld,
        "login": lambda *_: login.kill_sessions(),
        "lab": _new_process,
    }


def _is_step(command: list[str] | None) -> bool:
    return command is not None and "--overlap" in command and command[0].endswith("srun")


if __name__ == "__main__":
    main()
