"""Steps of work, side by side: a step begins when the steps that it needs are done. Standard library only.

Every 10 s each running step is named, with its time and the last line that it printed. What a step prints is kept
and shown whole if the step fails; then the other steps are stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT_S = 10.0
STOP_S = 5.0


class StepFailed(Exception):
    """A command of a step ended with an error. ``code`` is its exit code."""

    def __init__(self, reason: str, code: int = 1) -> None:
        super().__init__(reason)
        self.code = code


class StepStopped(Exception):
    """A step was stopped because another one failed or the person interrupted."""


@dataclass(frozen=True)
class Step:
    """``work`` runs in a thread and returns False if there was nothing to do. A step that is not ``stoppable``
    is waited for: to kill a system's package manager would leave the system half-configured."""

    name: str
    work: Callable[[Shell], bool | None]
    needs: tuple[str, ...] = ()
    stoppable: bool = True


class Shell:
    """Runs the commands of one step and keeps their output."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.began = time.monotonic()
        self.output: list[bytes] = []
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(
        self, *command: str | Path, env: Mapping[str, str] | None = None, check: bool = True
    ) -> tuple[int, str]:
        """Run a command in the checkout; return its exit code and its output. Raises StepFailed if it fails, unless
        ``check`` is off, and StepStopped if the step was stopped."""
        before = len(self.output)
        with self._lock:
            if self._stopped:
                raise StepStopped
            # A group of its own: what the command starts is stopped with it.
            self._process = subprocess.Popen(
                [str(part) for part in command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            self.output.extend(stream)
        code = self._process.wait()
        if self._stopped:
            raise StepStopped
        if code and check:
            raise StepFailed(f"{Path(command[0]).name} ended with code {code}", code if code > 0 else 1)
        return code, b"".join(self.output[before:]).decode(errors="replace")

    def last_line(self) -> str:
        """Return the last line that was printed, empty before the first."""
        for line in reversed(self.output):
            text = line.decode(errors="replace").rstrip().rpartition("\r")[2].strip()
            if text:
                return text[:100]
        return ""

    def stop(self) -> None:
        """End the running command and all that it started, SIGKILL after 5 s; no further one starts."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is None or not self.step.stoppable:
            return
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


def say(text: str) -> None:
    """Print a line of the set-up's own."""
    print(f"[genops] {text}", file=sys.stderr, flush=True)


def run_steps(title: str, steps: Sequence[Step], *, at_once: int = 0, keep_going: bool = False) -> None:
    """Run steps side by side, ``at_once`` at most (0: all), and print their times.

    The first failure stops the others, unless ``keep_going``. Raises SystemExit with the failed command's exit code.
    """
    began = time.monotonic()
    running: dict[Future[bool | None], Shell] = {}
    times: list[tuple[str, float, float]] = []
    failed: list[tuple[Shell, StepFailed]] = []
    finished: set[str] = set()
    waiting = list(steps)
    reported = began
    with ThreadPoolExecutor(at_once or len(steps)) as pool, _interruptible():
        try:
            while True:
                for step in [each for each in waiting if finished.issuperset(each.needs)]:
                    if at_once and len(running) >= at_once:
                        break
                    waiting.remove(step)
                    shell = Shell(step)
                    running[pool.submit(step.work, shell)] = shell
                if not running:
                    break
                ended, _ = wait(
                    running, max(0.0, reported + REPORT_S - time.monotonic()), return_when=FIRST_COMPLETED
                )
                for future in ended:
                    shell = running.pop(future)
                    took = time.monotonic() - shell.began
                    try:
                        worked = future.result()
                    except StepFailed as error:
                        failed.append((shell, error))
                        if not keep_going:
                            raise
                        continue
                    finished.add(shell.step.name)
                    if worked is not False:
                        times.append((shell.step.name, shell.began - began, took))
                        say(f"{_clock(began)}  {shell.step.name}: done in {took:.0f} s")
                if time.monotonic() >= reported + REPORT_S:
                    reported = time.monotonic()
                    _report(began, running.values())
        except BaseException as error:
            _stop(list(running.values()))
            if not isinstance(error, StepFailed):
                raise
    if times and not failed:
        _print_times(title, time.monotonic() - began, times)
    for shell, error in failed:
        say(f"{shell.step.name} failed: {error}. All that it printed:")
        sys.stderr.flush()
        sys.stderr.buffer.write(b"".join(shell.output))
        say(f"{shell.step.name} failed: {error}")
    if failed:
        sys.exit(failed[0][1].code)


@contextlib.contextmanager
def beside(step: Step) -> Iterator[None]:
    """Run a step while the block runs, and print its output when it ends. Raises SystemExit if the step failed."""
    shell = Shell(step)

    def work() -> str:
        try:
            step.work(shell)
        except StepFailed as error:
            return f"{step.name} failed: {error}"
        finally:
            sys.stdout.flush()
            sys.stdout.buffer.write(b"".join(shell.output))
            sys.stdout.flush()
        return ""

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        try:
            yield
        except SystemExit:
            if failed := running.result():
                say(failed)
            raise
        except BaseException:
            shell.stop()
            raise
        if failed := running.result():
            say(failed)
            sys.exit(1)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """A SIGTERM stops the steps as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(shells: list[Shell]) -> None:
    for shell in shells:
        if not shell.step.stoppable:
            say(f"waiting for the end of {shell.step.name}, which must not be cut")
    threads = [threading.Thread(target=shell.stop) for shell in shells]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _clock(began: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    return f"{minutes}:{seconds:02}"


def _report(began: float, running: Iterator[Shell] | Sequence[Shell]) -> None:
    for shell in running:
        took = time.monotonic() - shell.began
        say(f"{_clock(began)}  {shell.step.name} ({took:.0f} s): {shell.last_line() or 'running'}")


def _print_times(title: str, took: float, times: list[tuple[str, float, float]]) -> None:
    width = max(len(name) for name, _, _ in times)
    for name, start, seconds in sorted(times, key=lambda each: each[1]):
        say(f"  {name:{width}}  {seconds:6.1f} s  from {start:5.1f} s on")
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    say(f"{title} took {took:.0f} s ({os.cpu_count()} cores{load})")
