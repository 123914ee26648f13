"""Test a target step by step: each failed step has a hint and, where possible, a button that mends it."""

from __future__ import annotations

import asyncio
import shlex
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from genops_lab.core.errors import GenOpsError
from genops_lab.hosts.link.errors import LinkError

from .models import ReportStep, StepFix, StepState
from .providers import provider_of
from .providers.base import TestStep
from .records import TargetRecord

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection

T = TypeVar("T")

#: the steps between the provider's own steps and a usable host
STARTING = (
    TestStep(name="python", label="Python", message="Python on the host can run the agent."),
    TestStep(name="agent", label="Agent", message=""),
)
CHECKS: tuple[str, ...] = ("ipykernel", "mlflow", "gpu", "disk", "clock", "logout")

MAX_SKEW_S = 5.0
LOW_BYTES, FULL_BYTES = 2 * 1024**3, 200 * 1024**2
#: systemd ends the user's processes some 10 s after the last logout (UserStopDelaySec).
LOGOUT_PAUSE_S = 12.0
SHORT_PAUSE_S = 2.0
#: Lease of the test's kernel, in seconds: the kernel ends by itself where the test cannot stop it.
LEASE_S = 300
#: Seconds between two checks of whether the test's kernel has started.
LOOK_S = 0.2
START_TIMEOUT_S = 120.0
KERNEL_ARGV = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]


class Run(Protocol):
    """Run a coroutine on the connections' loop."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Return the coroutine's result."""
        ...


@dataclass(frozen=True)
class Finding:
    """The result of a step."""

    state: StepState
    message: str
    hint: str = ""
    commands: tuple[str, ...] = ()
    fixes: tuple[StepFix, ...] = ()


class ConnectionTest:
    """One test of one target. Calls ``on_step`` with each step when the step is done.

    ``pause`` is the time between logout and login, in seconds. None: as long as the host may need to end the
    user's processes.
    """

    def __init__(
        self,
        record: TargetRecord,
        link: HostConnection,
        run: Run,
        on_step: Callable[[ReportStep], None],
        *,
        pause: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._record = record
        self._provider = provider_of(record.route.kind)
        self._link = link
        self._run = run
        self._on_step = on_step
        self._pause = pause or self._wait
        self._probe: dict[str, Any] = {}
        #: seconds by which the host's clock is ahead, and the error of that measurement
        self._skew = (0.0, 0.0)

    async def run(self, keeps_login: str = "") -> None:
        """Run all steps. ``keeps_login`` is the reason to skip the logout; empty: log out."""
        if not await self._connect():
            return
        await self._look()
        if keeps_login:
            self._skip("logout", keeps_login)
        elif not self._can_start:
            self._skip("logout", "No kernel can start on the host yet.")
        else:
            await self._step("logout", self._logout)

    async def meet(self) -> None:
        """Ask the agent over the present connection; never connect. Raises GenOpsError."""
        await self._ask_probe()

    async def run_connected(self) -> None:
        """After :meth:`meet`: run all steps that need no login."""
        self._tell_connected(0.0, {})
        await self._look()
        self._skip("logout", "Run the test yourself to include this step: it logs out and in again.")

    async def _look(self) -> None:
        await self._step("ipykernel", self._ipykernel)
        await self._step("mlflow", self._mlflow)
        await self._step("gpu", self._gpu)
        await self._step("disk", self._disk)
        await self._step("clock", self._clock)

    async def _connect(self) -> bool:
        began = time.monotonic()
        try:
            await self._run(self._link.up())
            await self._ask_probe()
            details = await self._run(self._provider.step_details(self._record.route))
        except GenOpsError as error:
            self.failed(error, time.monotonic() - began)
            return False
        self._tell_connected(time.monotonic() - began, details)
        return True

    def failed(self, error: GenOpsError, took_s: float) -> None:
        """Report the step at which the way to the host ended, and all others."""
        steps = (*self._provider.test_steps, *STARTING)
        failed = error.step if isinstance(error, LinkError) else "agent"
        at = next((at for at, step in enumerate(steps) if step.name == failed), 0)
        for step in steps[:at]:
            self._tell(step.name, Finding("ok", step.message))
        self._tell(steps[at].name, self._not_connected(error), took_s)
        for name in (*(step.name for step in steps[at + 1 :]), *CHECKS):
            self._skip(name, "Not reached.")

    def _tell_connected(self, took_s: float, details: dict[str, str]) -> None:
        probe = self._probe
        for step in self._provider.test_steps:
            said = step.detail.format_map(probe) if step.detail else step.message
            self._tell(step.name, Finding(step.state, details.get(step.name, said)))
        self._tell("python", Finding("ok", f"Python {probe.get('python')} ({probe.get('executable')})."))
        message = f"The agent runs on {probe.get('hostname')}."
        self._tell("agent", Finding("ok", message), took_s)

    async def _ask_probe(self) -> None:
        before = time.time()
        self._probe = await self._call("probe")
        after = time.time()
        self._skew = (float(self._probe["clock"]) - (before + after) / 2, (after - before) / 2)

    async def _call(self, method: str, timeout_s: float = 60.0, **params: Any) -> Any:
        return await self._run(self._link.call(method, params, timeout_s=timeout_s))

    @property
    def _can_start(self) -> bool:
        return bool(self._probe.get("ipykernel") and self._probe.get("pyzmq"))

    async def _ipykernel(self) -> Finding:
        probe = self._probe
        if self._can_start:
            return Finding("ok", f"ipykernel {probe['ipykernel']}, pyzmq {probe['pyzmq']}.")
        lacking = " and ".join(name for name in ("ipykernel", "pyzmq") if not probe.get(name))
        message = f"{probe.get('executable')} has no {lacking}."
        install = self._install_command("ipykernel")
        if not self._may_build:
            return Finding("failed", message, "Install it on the host.", (install,), self._may_install)
        hint = "Build an environment on the host, or install what is missing into this one."
        return Finding("failed", message, hint, (self._build_command, install), ("build", *self._may_install))

    async def _mlflow(self) -> Finding:
        probe = self._probe
        if probe.get("mlflow"):
            return Finding("ok", f"mlflow {probe['mlflow']}.")
        if not self._can_start:
            return Finding("skipped", "Skipped: this step needs ipykernel.")
        return Finding(
            "optional",
            "mlflow is not in this environment.",
            "%%track and genops.log work without it; your own mlflow.* calls need it.",
            (self._install_command("mlflow"),),
            self._may_install,
        )

    def _not_connected(self, error: GenOpsError) -> Finding:
        if error.code in ("no_python", "old_python") and self._may_build:
            hint = f"{error.hint} Or build an environment on the host: it can use another Python."
            return Finding("failed", error.message, hint.strip(), (self._build_command,), ("build",))
        return Finding("failed", error.message, error.hint)

    @property
    def _build_command(self) -> str:
        return f"genops targets build {self._record.name}"

    @property
    def _may_build(self) -> bool:
        """Return whether the Lab can build an environment that the next kernels use."""
        return not self._record.locked and self._keeps_files

    @property
    def _keeps_files(self) -> bool:
        return self._provider.shares_storage(self._record.route.config)

    @property
    def _may_install(self) -> tuple[StepFix, ...]:
        """Return whether the Lab can install into the present environment."""
        if not self._keeps_files:
            return ()
        environment = self._probe.get("environment") or {"fixed": "not known"}
        has_tool = self._probe.get("pip") or self._probe.get("uv")
        return ("install",) if has_tool and not environment["fixed"] else ()

    def _install_command(self, package: str) -> str:
        probe, route = self._probe, self._record.route
        python = shlex.quote(str(probe.get("executable") or route.python))
        if probe.get("uv"):
            command = f"{shlex.quote(str(probe['uv']))} pip install --python {python} {package}"
        elif probe.get("pip"):
            command = f"{python} -m pip install {package}"
        else:
            command = f"{python} -m ensurepip --user && {python} -m pip install {package}"
        return self._provider.by_hand(route.config, command)

    async def _gpu(self) -> Finding:
        reading = await self._call("readings")
        gpus = [str(gpu.get("name") or "GPU") for gpu in reading.get("gpus") or []]
        if reading.get("gpu_state") == "error":
            return Finding(
                "warning",
                f"The GPUs cannot be read: {reading.get('gpu_message') or 'the driver gave no reason'}",
                "Run nvidia-smi (or rocm-smi) on the host: driver and library often differ after an upgrade.",
            )
        if not gpus:
            return Finding("ok", "The drivers show no GPU.")
        return Finding(
            "ok", ", ".join(gpus) if len(gpus) <= 2 else f"{len(gpus)} GPUs: {gpus[0]} and others."
        )

    async def _disk(self) -> Finding:
        probe = self._probe
        if probe.get("home_full"):
            free, whole = probe.get("home_free_bytes"), probe.get("home_bytes")
            space = f" ({_size(free)} of {_size(whole)} free)" if free is not None and whole else ""
            return Finding(
                "failed",
                f"Your home folder {probe.get('home')} is full{space}, and kernels write to it when "
                "they start.",
                self._free_the_home,
            )
        if not probe.get("home_writable", True):
            return Finding(
                "warning",
                f"The home folder {probe.get('home')} is not writable.",
                "Free some of the quota, or ask the administrator of the host: most programs in a "
                "kernel write to the home folder.",
            )
        free, state_dir = probe.get("disk_free_bytes"), probe.get("state_dir")
        if free is not None and free < FULL_BYTES:
            return Finding(
                "failed",
                f"{state_dir} has only {_gib(free)} free: the host cannot keep outputs.",
                "Free some space or quota on the host.",
            )
        if free is not None and free < LOW_BYTES:
            return Finding("warning", f"{state_dir} has {_gib(free)} free.", "Free some space on the host.")
        if not probe.get("state_dir_local", True):
            return Finding(
                "warning",
                f"{state_dir} is on a network file system. Outputs wait there until the Lab has them.",
                "Kernels work. On a local disk they are faster and survive an outage of the file server.",
            )
        return Finding("ok", f"{_gib(free)} free at {state_dir}." if free is not None else f"{state_dir}.")

    @property
    def _free_the_home(self) -> str:
        return (
            f"Remove files from {self._probe.get('home')} on the host, or ask its administrator for "
            "more space or quota."
        )

    async def _clock(self) -> Finding:
        skew, error = self._skew
        if abs(skew) - error <= MAX_SKEW_S:
            most = max(abs(skew) + error, 0.1)
            return Finding("ok", f"The clock differs from this machine's by at most {most:.1f} s.")
        way = "ahead of" if skew > 0 else "behind"
        return Finding(
            "warning",
            f"The host's clock is {abs(skew):.0f} s {way} this machine's.",
            "Times of runs and logs will be wrong. Set the clock by NTP on the host: timedatectl set-ntp true",
        )

    async def _logout(self) -> Finding:
        """Start a kernel, log out, log in again, and check whether the kernel still runs."""
        probe = self._probe
        kernel_id = str(uuid.uuid4())
        started = await self._call(
            "kernels.start", START_TIMEOUT_S, kernel_id=kernel_id, argv=KERNEL_ARGV, env={}, cwd="",
            key=uuid.uuid4().hex, name="test", notebook="", owner="test", lease={"seconds": LEASE_S},
        )  # fmt: skip
        begun = await self._begun(kernel_id)
        found: dict[str, Any] | None = begun
        if begun["state"] == "running":
            await self._run(self._link.down())
            await self._pause()
            await self._run(self._link.up())
            kernels = await self._call("kernels.list")
            found = next((each for each in kernels if each["kernel_id"] == kernel_id), None)
        lives = found is not None and found["state"] == "running" and found["pid"] == started["pid"]
        if found is not None:
            await self._call("kernels.stop", kernel_id=kernel_id, grace_s=1.0)
            await self._call("kernels.forget", kernel_id=kernel_id)
        if lives:
            return Finding("ok", "A kernel kept running through a logout and a new login.")
        if found is not None and (found["exit_code"] or 0) > 0:
            by_hand = f"Run `{probe.get('executable')} -m ipykernel_launcher` on the host to see its error."
            hint = self._free_the_home if probe.get("home_full") else by_hand
            return Finding("failed", f"No kernel starts on the host. {found['reason']}", hint)
        reason = str(probe.get("survives_reason") or "").rstrip(".")
        return Finding(
            "failed",
            "The host ended a running kernel when its user logged out" + (f": {reason}." if reason else "."),
            f"Let processes outlive their session: loginctl enable-linger {shlex.quote(str(probe.get('user')))} "
            "on the host. Or ask its administrator (KillUserProcesses=no in logind.conf).",
        )

    async def _begun(self, kernel_id: str) -> dict[str, Any]:
        """Return the kernel once it listens or has ended: a kernel that ends while it starts was not ended by
        the logout."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            found: dict[str, Any] = await self._call("kernels.info", kernel_id=kernel_id)
            if found["ready"] or found["state"] != "running" or time.monotonic() > deadline:
                return found
            await asyncio.sleep(LOOK_S)

    async def _wait(self) -> None:
        sure = self._probe.get("survives_logout") == "yes"
        await asyncio.sleep(SHORT_PAUSE_S if sure else LOGOUT_PAUSE_S)

    async def _step(self, step: str, look: Callable[[], Awaitable[Finding]]) -> None:
        began = time.monotonic()
        try:
            finding = await look()
        except GenOpsError as error:
            finding = Finding("failed", error.message, error.hint)
        self._tell(step, finding, time.monotonic() - began)

    def _skip(self, step: str, why: str) -> None:
        self._tell(step, Finding("skipped", why))

    def _tell(self, step: str, finding: Finding, took_s: float = 0.0) -> None:
        self._on_step(
            ReportStep(
                step=step,
                state=finding.state,
                message=finding.message,
                hint=finding.hint,
                commands=list(finding.commands),
                fixes=list(finding.fixes),
                took_s=round(took_s, 3),
            )
        )


def _size(count: float) -> str:
    return _gib(count) if count >= 1024**3 else f"{count / 1024**2:.1f} MiB"


def _gib(count: float) -> str:
    return f"{count / 1024**3:.1f} GiB"
