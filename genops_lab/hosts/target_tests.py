"""Run the tests of targets as tasks, and keep their reports."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.core.models import Task
from genops_lab.core.services import Service
from genops_lab.core.tasks import TaskHandle, TasksService

from .check_reports import Outcome, Reports, what_to_do
from .connection_check import ConnectionTest
from .link.errors import LinkError
from .models import ReportStep, TargetReport
from .providers import provider_of
from .records import TargetRecord

if TYPE_CHECKING:
    from .service import TargetsService
    from .target_kernels import TargetKernels


class TargetTestsService(Service):
    """Tests targets: on their own as tasks, or within other work."""

    def __init__(
        self, targets: TargetsService, tasks: TasksService, reports: Reports, kernels: TargetKernels
    ) -> None:
        self._targets = targets
        self._tasks = tasks
        self._reports = reports
        self._kernels = kernels

    async def test_target(self, name: str) -> Task:
        """Test a target step by step, in a task; join a test that already runs."""
        record = await self._targets.record(name)
        report = self._reports.get(name)
        if report.state == "running":
            return await self._tasks.get_task(report.task_id)

        async def work(handle: TaskHandle) -> str:
            return await self._test(handle, record)

        task = self._tasks.start(f"Test {name}", work, subject=f"target:{name}")
        self._reports.begin(name, task.id)
        return task

    async def get_report(self, name: str) -> TargetReport:
        """Return the last test's steps, also while the test runs."""
        await self._targets.record(name)
        return self._reports.get(name)

    async def test_connected(self, name: str, handle: TaskHandle) -> str:
        """Test a target within other work, over the open connection; return the result as a sentence.

        Does not connect. Empty where the connection is down, or a test already runs.
        """
        test = self._guided(handle, await self._targets.record(name))
        if not self._targets.connected(name) or self._reports.get(name).state == "running":
            return ""
        try:
            await test.meet()
        except GenOpsError as error:
            handle.say(f"The target was not tested: {error.message}")
            return ""
        self._reports.begin(name, handle.task.id)
        outcome: Outcome = "cancelled"
        try:
            await test.run_connected()
            outcome = ""
        finally:
            report = self._reports.end(name, outcome)
        failed = next((step for step in report.steps if step.state == "failed"), None)
        if failed is not None:
            return (
                f"The test of {name} failed at {failed.step}: {failed.message} {what_to_do(failed)}".strip()
            )
        return _works(report)

    async def _test(self, handle: TaskHandle, record: TargetRecord) -> str:
        name = record.name
        outcome: Outcome = "failed"
        try:
            if provider_of(record.route.kind).allocates:
                await self._test_a_new_host(handle, record)
            else:
                await self._guided(handle, record).run(await self._keeps_login(record))
            outcome = ""
        except asyncio.CancelledError:
            outcome = "cancelled"
            if not self._targets.connected(name):  # this connection was opened only for the test
                await self._targets.leave(name)
            raise
        finally:
            report = self._reports.end(name, outcome)
        failed = [step for step in report.steps if step.state == "failed"]
        if failed:
            raise Failed(failed[0].message, hint=what_to_do(failed[0]), code="target_test")
        return _works(report)

    async def _test_a_new_host(self, handle: TaskHandle, record: TargetRecord) -> None:
        """Request a host, test it, and release it."""
        name, began = f"test-{handle.task.id}", time.monotonic()
        host = record.route.at(provider_of(record.route.kind).host_of(record.route, name))
        test = self._guided(handle, msgspec.structs.replace(record, route=host))
        try:
            await self._targets.hosts.ask_for(record, name)
        except LinkError as error:
            test.failed(error, time.monotonic() - began)
            with contextlib.suppress(LinkError):  # an answer may be lost, and the host requested
                await self._targets.hosts.give_back(host)
            return
        try:
            await test.run(f"The {provider_of(host.kind).host_noun} is released with its kernel.")
        finally:
            await self._targets.hosts.give_back(host)

    def _guided(self, handle: TaskHandle, record: TargetRecord) -> ConnectionTest:
        def on_step(step: ReportStep) -> None:
            self._reports.add(record.name, step)
            handle.say(" ".join([f"{step.step}: {step.state}. {step.message}", what_to_do(step)]).strip())

        connections = self._targets.connections
        return ConnectionTest(record, connections.link(record.route), connections.run, on_step)

    async def _keeps_login(self, record: TargetRecord) -> str:
        if await self._targets.builds(record.name):
            return "An environment is being built on the host."
        if await self._kernels.own(record):
            return "Kernels of this Lab run on the host: logging out would disconnect them for a while."
        return ""


def _works(report: TargetReport) -> str:
    return f"{report.target} can run kernels{'' if report.state == 'ok' else ', with warnings'}."
