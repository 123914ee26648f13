"""A deployment described once, in a file: what a file would change, its application, what differs since."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.work import WorkService
from genops_lab.deployments import memory
from genops_lab.deployments.description.models import (
    AppliedDescription,
    ApplyDescription,
    DescribedDeployment,
    DescribeVersion,
    DescriptionPlan,
    PlanDescription,
)
from genops_lab.deployments.description.reading import read_description
from genops_lab.deployments.description.service import DescriptionsService
from genops_lab.deployments.models import Deployment, NewCallerKey, NewDeployment, RollBack
from genops_lab.deployments.records import Records
from genops_lab.deployments.secrets import Secrets
from tests.support.rooms import Logged, Rooms, Training, eventually, open_rooms

from .conftest import ask, deploy, files_of, process_of, register
from .killed_lab import killed_apply

NAME = "described"
FILE = f"""\
apiVersion: genops/v1
kind: Deployment
name: {NAME}
revisions:
  - model: measured
    version: 1
environment:
  OMP_NUM_THREADS: 2
secrets: [HF_TOKEN]
callers:
  - name: ci
    limit: 600
lifetime:
  lease_hours: 2
"""


@pytest.fixture(scope="module")
def descriptions(rooms: Rooms, digits: Logged) -> Iterator[DescriptionsService]:
    """Over three versions of a model that loads; the tests go on where the ones before ended."""
    for _ in range(3):
        register(rooms, "measured", digits)
    yield files_of(rooms)
    for name in (NAME, "pinned"):
        try:
            rooms.run(rooms.deployments.stop_deployment(name))
        except NotFound:
            continue
        rooms.run(rooms.deployments.delete_deployment(name))


def plan(rooms: Rooms, service: DescriptionsService, text: str = FILE, **fields: Any) -> DescriptionPlan:
    return rooms.run(service.plan_description(PlanDescription(text=text, **fields)))


def apply(rooms: Rooms, service: DescriptionsService, text: str = FILE, **fields: Any) -> AppliedDescription:
    return rooms.run(service.apply_description(ApplyDescription(text=text, **fields)))


def described(rooms: Rooms, service: DescriptionsService) -> DescribedDeployment:
    return rooms.run(service.get_description(NAME))


def changes(found: DescriptionPlan | DescribedDeployment) -> dict[str, tuple[str, str]]:
    listed = found.changes if isinstance(found, DescriptionPlan) else found.drift
    return {each.what: (each.now, each.file) for each in listed}


def updated(rooms: Rooms) -> Deployment:
    look = lambda: rooms.run(rooms.deployments.get_deployment(NAME))  # noqa: E731
    return eventually(look, lambda found: not found.updating_to and found.state == "running", 120)


def test_a_plan_says_what_is_missing_before_anything_starts(
    rooms: Rooms, descriptions: DescriptionsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = plan(rooms, descriptions)
    assert (found.exists, found.expect, found.now, found.new_revision) == (False, "new", "", True)
    assert changes(found) == {
        "model": ("", "measured"),
        "version": ("", "1"),
        "variable OMP_NUM_THREADS": ("", "2"),
        "secret HF_TOKEN": ("", "given"),
        "key ci": ("", "600 a minute"),
        "ends without requests after": ("", "2 h"),
        "earlier revision stays warm for": ("", "1 h"),
    }
    assert (found.problem, found.hint) == (
        "There is no secret HF_TOKEN.", "Set it: genops secrets set HF_TOKEN"
    )  # fmt: skip
    with pytest.raises(Conflict) as caught:
        apply(rooms, descriptions)
    assert caught.value.code == "no_secret"
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000_000)
    traced = changes(plan(rooms, descriptions, FILE + "traces: {sample: 0.05}\n"))
    assert traced["traces"] == ("", "5 % of the requests, in the experiment deployments")
    text = FILE + "resources: {memory: 2.1 GB}\n"
    found = plan(rooms, descriptions, text)
    assert changes(found)["memory"] == ("", "2.0 GiB") and not found.fits
    Secrets(rooms.settings.data_dir / "secrets").set("HF_TOKEN", "hf_1")
    with pytest.raises(
        Conflict, match=r"'described' needs about 2.0 GiB of memory; this machine has 953.7 MiB free"
    ) as caught:
        apply(rooms, descriptions, text)
    assert caught.value.code == "memory"
    assert plan(rooms, descriptions, FILE + "resources: {gpus: 99}\n").problem.startswith(
        "'described' needs about 300"
    )
    with pytest.raises(NotFound):
        rooms.run(rooms.deployments.get_deployment(NAME))


def test_a_file_is_applied_once_and_again_changes_nothing(
    rooms: Rooms, descriptions: DescriptionsService, digits: Logged
) -> None:
    first = apply(rooms, descriptions)
    assert [each.what for each in first.changes][:2] == ["model", "version"]
    ((name, limit, key),) = [(each.name, each.limit, each.key) for each in first.keys]
    assert (name, limit) == ("ci", 600) and len(key) > 20
    running = rooms.settled(NAME)
    assert (running.state, running.file) == ("running", "deployment.yaml"), running
    status, answer = ask(running.url, key, digits.inputs[:2].tolist())
    assert status == 200 and answer["predictions"] == list(digits.predictions[:2])
    environment = process_of(rooms, NAME).environ()
    assert (environment["OMP_NUM_THREADS"], environment["HF_TOKEN"]) == ("2", "hf_1")
    assert 7000 < running.lease_until - running.created_at < 7300
    found = plan(rooms, descriptions)
    assert (found.changes, found.new_revision, found.message) == ([], False, "Nothing would change.")
    again = apply(rooms, descriptions)
    assert (again.changes, again.keys, again.deployment.revision) == ([], [], 1)
    kept = described(rooms, descriptions)
    assert (kept.text, kept.file, kept.drift) == (FILE, "deployment.yaml", [])
    assert "hf_1" not in Records(rooms.store).get(NAME).spec


def test_settings_change_without_a_new_revision(
    rooms: Rooms, descriptions: DescriptionsService, digits: Logged
) -> None:
    process = process_of(rooms, NAME)
    text = FILE.replace("limit: 600", "limit: 1\n  - name: bob")
    found = plan(rooms, descriptions, text)
    assert changes(found) == {
        "key ci": ("600 a minute", "1 a minute"),
        "key bob": ("", "no limit"),
    }
    assert not found.new_revision
    done = apply(rooms, descriptions, text, expect=found.expect)
    assert [each.name for each in done.keys] == ["bob"], "the key of ci goes on"
    status, _ = ask(done.deployment.url, done.keys[0].key, digits.inputs[:1].tolist())
    assert status == 200 and process.is_running() and done.deployment.revision == 1
    with pytest.raises(Conflict, match="changed since this was planned") as caught:
        apply(rooms, descriptions, FILE, expect=found.expect, seen=found.now)
    assert caught.value.message.endswith("(key ci: 600 a minute -> 1 a minute, key bob: none -> no limit).")
    apply(rooms, descriptions, FILE)
    status, _ = ask(done.deployment.url, done.keys[0].key, digits.inputs[:1].tolist())
    assert status == 401, "bob is not in the file"


def test_a_variable_is_a_new_revision_and_what_people_do_is_drift(
    rooms: Rooms, descriptions: DescriptionsService
) -> None:
    text = FILE.replace("THREADS: 2", "THREADS: 1")
    found = plan(rooms, descriptions, text)
    assert found.new_revision and changes(found) == {"variable OMP_NUM_THREADS": ("2", "1")}
    assert found.message.startswith("Revision 2 starts beside revision 1") and found.needs_bytes > 0
    apply(rooms, descriptions, text)
    assert plan(rooms, descriptions, text).changes == [], "an update in progress counts as done"
    assert updated(rooms).revision == 2
    assert process_of(rooms, NAME).environ()["OMP_NUM_THREADS"] == "1"
    assert changes(described(rooms, descriptions)) == {}
    rooms.run(rooms.deployments.roll_back_deployment(NAME, RollBack()))
    rooms.run(rooms.deployments.add_caller_key(NAME, NewCallerKey(name="eve", limit=3)))
    assert changes(described(rooms, descriptions)) == {
        "variable OMP_NUM_THREADS": ("2", "1"),
        "key eve": ("3 a minute", ""),
    }
    deploy(rooms, "measured", name=NAME, version="3")
    assert updated(rooms).version == "3"
    assert changes(described(rooms, descriptions))["version"] == ("3", "1")
    assert process_of(rooms, NAME).environ()["OMP_NUM_THREADS"] == "2", "as the revision before"
    assert read_description(described(rooms, descriptions).now).revision.version == 3


def test_of_two_that_apply_at_once_one_is_told(rooms: Rooms, descriptions: DescriptionsService) -> None:
    texts = [FILE.replace("version: 1", f"version: {each}") for each in (1, 2)]
    plans = [plan(rooms, descriptions, text) for text in texts]

    async def both() -> list[Any]:
        bodies = [
            ApplyDescription(text=text, expect=each.expect) for text, each in zip(texts, plans, strict=True)
        ]
        return await asyncio.gather(
            *(descriptions.apply_description(each) for each in bodies), return_exceptions=True
        )

    results = rooms.run(both())
    won = [each for each in results if isinstance(each, AppliedDescription)]
    lost = [each for each in results if isinstance(each, Conflict)]
    assert (len(won), len(lost)) == (1, 1), results
    assert lost[0].code in ("changed_since", "under_way"), lost
    assert updated(rooms).version == won[0].deployment.revisions[0].version


@pytest.mark.parametrize("moment", [0, 4, 5], ids=["start", "made current", "routed"])
def test_a_lab_that_is_killed_while_it_applies_is_continued(
    rooms: Rooms, descriptions: DescriptionsService, moment: int
) -> None:
    """Before the revision starts, before the store has it as the current one, and before requests are led to it."""
    text = FILE.replace("THREADS: 2", f"THREADS: {moment + 10}")
    lab = killed_apply(rooms.settings, text, moment)
    assert lab.returncode == -signal.SIGKILL, lab.stderr[-2000:]
    found = updated(rooms)
    assert [each.number for each in found.revisions if each.weight] == [found.revision]
    assert process_of(rooms, NAME).environ()["OMP_NUM_THREADS"] == str(moment + 10)
    assert plan(rooms, descriptions, text).changes == [] and found.message == ""


def test_a_stopped_deployment_is_started_again(rooms: Rooms, descriptions: DescriptionsService) -> None:
    rooms.run(rooms.deployments.stop_deployment(NAME))
    assert changes(described(rooms, descriptions))["state"] == ("stopped", "running")
    found = plan(rooms, descriptions)
    assert changes(found)["state"] == ("stopped", "running") and found.new_revision
    apply(rooms, descriptions)
    running = updated(rooms)
    assert (running.version, running.file) == ("1", "deployment.yaml")


def test_the_next_lab_routes_what_a_killed_one_wrote(rooms: Rooms, descriptions: DescriptionsService) -> None:
    text = FILE.replace("limit: 600", "limit: 600\n  - name: late")

    def applied_and_killed() -> None:
        # The record and the work are in the store, and nothing else was done.
        WorkService._carry_on = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
        with open_rooms(rooms.settings) as lab:
            apply(lab, files_of(lab), text)

    process = multiprocessing.get_context("fork").Process(target=applied_and_killed)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    route = rooms.settings.data_dir / "deployments" / NAME / "route.json"
    eventually(lambda: json.loads(route.read_bytes())["keys"], lambda found: found[-1]["name"] == "late", 30)
    assert plan(rooms, descriptions, text).changes == []


def test_another_file_takes_over_only_when_it_says_so(
    rooms: Rooms, descriptions: DescriptionsService
) -> None:
    with pytest.raises(
        Conflict, match=r"was applied from deployment.yaml, and this file is other.yaml"
    ) as caught:
        apply(rooms, descriptions, file="other.yaml")
    assert "--take-over" in caught.value.hint
    assert plan(rooms, descriptions).other_file == "", "the file that was applied last"
    assert plan(rooms, descriptions, path="other.yaml").other_file == "deployment.yaml"
    apply(rooms, descriptions, file="other.yaml", take_over=True)
    assert described(rooms, descriptions).file == "other.yaml"


@pytest.mark.parametrize(
    ("before", "after", "error", "message"),
    [
        ("model: measured", "model: gone", NotFound, "gone"),
        ("version: 1", "version: 77", NotFound, "77"),
        ("version: 1", "version: champion", NotFound, "champion"),
        ("kind: Deployment", "kind: Deployment\non: moon", NotFound, "none is called 'moon'"),
        ("kind: Deployment", "kind: Deployment\ntrust: {signer: no.pub}", Failed, "'no.pub' of the file does not"),
        ("version: 1", "versin: 1", InvalidRequest, "line 6, column 5: the key 'versin' is unknown"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_is_refused(
    rooms: Rooms,
    descriptions: DescriptionsService,
    before: str,
    after: str,
    error: type[GenOpsError],
    message: str,
    tmp_path: Path,
) -> None:
    text = FILE.replace(before, after).replace(f"name: {NAME}", "name: fresh")
    with pytest.raises(error) as caught:
        plan(rooms, descriptions, text, folder=str(tmp_path))
    assert message in caught.value.message and caught.value.hint


def test_files_of_unknown_origin_need_their_digest_in_the_file(
    rooms: Rooms, descriptions: DescriptionsService, training: Training
) -> None:
    logged = training.digits(rows=50)
    register(rooms, "foreign", logged)
    text = FILE.replace("model: measured", "model: foreign").replace(f"name: {NAME}", "name: pinned")
    found = plan(rooms, descriptions, text)
    assert found.code == "confirmation_needed" and found.hint.endswith(f"trust: {found.digest}")
    bare = plan(rooms, descriptions, text, file="")
    assert bare.hint.endswith(f"To deploy it, add --trust {found.digest}"), "no file can be changed"
    with pytest.raises(Conflict, match="needs your confirmation"):
        apply(rooms, descriptions, text)
    with pytest.raises(Conflict, match=r"has other files than deployment.yaml trusts \(sha256:000000000000"):
        apply(rooms, descriptions, f"{text}trust: sha256:{'0' * 64}\n")
    draft = rooms.run(descriptions.describe_version(DescribeVersion(model="foreign", name="pinned")))
    assert read_description(draft.text).trust == found.digest and "# Review before" in draft.text
    apply(rooms, descriptions, f"{text}trust: {found.digest}\n")
    assert rooms.settled("pinned").state == "running"
    assert plan(rooms, descriptions, text, trust="sha256:" + "0" * 64).problem == "", "it runs already"


def test_a_draft_of_a_running_deployment_changes_its_version_alone(
    rooms: Rooms, descriptions: DescriptionsService
) -> None:
    draft = rooms.run(
        descriptions.describe_version(DescribeVersion(model="measured", version="2", name=NAME))
    )
    assert changes(plan(rooms, descriptions, draft.text)) == {"version": ("1", "2")}
    with pytest.raises(GenOpsError):
        rooms.run(rooms.deployments.deploy(NewDeployment(model="gone", name=NAME)))
