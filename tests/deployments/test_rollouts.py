"""Rollouts of real models: promoted, rolled back while no Lab runs, decided by people, kept with the version."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from genops_lab.commands.document import moment
from genops_lab.commands.terminal import render
from genops_lab.commands.views import deployments as views
from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.work import WorkService
from genops_lab.deployments.description.reading import read_description
from genops_lab.deployments.models import Deployment, NewDeployment, RollBack
from genops_lab.deployments.outlook import outlook
from genops_lab.deployments.policy import (
    RolloutOutcome,
    RolloutPolicy,
    RolloutStep,
    decode_policy,
    named_policy,
    read_policy,
)
from genops_lab.deployments.rollout_models import DecideRollout, NewFeedback
from tests.serving.callers import Callers, calling
from tests.support.processes import commands_with
from tests.support.rooms import Logged, Rooms, Training, eventually, open_rooms

from .conftest import apply, changes_nothing, deploy, key_of, register, shown
from .killed_lab import killed_lab

NAME = "rolled"
STEPS = [RolloutStep(traffic=30, requests=5), RolloutStep(traffic=60, requests=5)]
WIDE = RolloutPolicy(steps=STEPS, failures=0.2, latency=None, warm_up="0s", watch="1s")
#: Version 2 by WIDE.
FILE = f"""\
apiVersion: genops/v1
kind: Deployment
name: {NAME}
revisions:
  - model: rolled-digits
    version: 2
rollout:
  kind: canary
  steps:
    - {{traffic: 30, requests: 5}}
    - {{traffic: 60, requests: 5}}
  failures: 0.2
  latency: null
  warm_up: 0s
  watch: 1s
"""
#: No traffic of these tests is enough to exclude it.
NARROW = RolloutPolicy(steps=STEPS, failures=0.0001, latency=None, warm_up="0s")


@pytest.fixture(scope="module")
def versions(rooms: Rooms, digits: Logged, training: Training) -> Logged:
    """Versions 1 to 3 of a model that answers, and version 4, which refuses the same requests."""
    for _ in range(3):
        register(rooms, "rolled-digits", digits)
    other = training.digits(pixels=8)
    rooms.trust(other.folder, other.run_id)
    register(rooms, "rolled-digits", other)
    return digits


@pytest.fixture(scope="module")
def running(rooms: Rooms, versions: Logged) -> Iterator[Deployment]:
    deploy(rooms, "rolled-digits", name=NAME, version="1")
    found = rooms.settled(NAME)
    assert found.state == "running", found
    yield found
    rooms.run(rooms.deployments.stop_deployment(NAME))
    rooms.run(rooms.deployments.delete_deployment(NAME))


def now(rooms: Rooms) -> Deployment:
    return rooms.run(rooms.deployments.get_deployment(NAME))


def roll_out(rooms: Rooms, version: str, policy: RolloutPolicy) -> Deployment:
    """Begin a rollout and wait until its revision gets requests."""
    deploy(rooms, "rolled-digits", name=NAME, version=version, rollout=policy)
    return eventually(lambda: now(rooms), judged, 120)


def judged(found: Deployment) -> bool:
    return found.rollout is not None and found.rollout.candidate == found.updating_to > 0


def decide(rooms: Rooms, decision: Any) -> Deployment:
    return rooms.run(rooms.rollouts.decide_rollout(NAME, DecideRollout(decision=decision)))


def traffic(rooms: Rooms, running: Deployment, versions: Logged) -> Any:
    address = urlsplit(running.url)
    body = json.dumps({"inputs": versions.inputs.tolist()}).encode()
    return calling(address.port or 0, f"{address.path}/invocations", key_of(rooms, NAME), body, 2)


def mlflow_client(rooms: Rooms) -> Any:
    import mlflow

    return mlflow.MlflowClient(rooms.mlflow.uri)


def tag_of(rooms: Rooms, version: str) -> dict[str, Any]:
    """The evidence, which is written once the rollout is over."""
    client = mlflow_client(rooms)
    tags = lambda: client.get_model_version("rolled-digits", version).tags  # noqa: E731
    return dict(json.loads(eventually(tags, lambda found: "genops.rollout" in found, 20)["genops.rollout"]))


def test_a_canary_of_a_file_goes_through_its_steps_and_is_kept_with_the_version(
    rooms: Rooms, running: Deployment, versions: Logged
) -> None:
    assert rooms.run(rooms.rollouts.get_rollout_outlook(NAME, WIDE)).lines
    callers: Callers
    with traffic(rooms, running, versions) as callers:
        apply(rooms, FILE)
        begun = eventually(lambda: now(rooms), judged, 120)
        assert begun.revision == 1 and begun.message.startswith("Updating to revision 2")
        found = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 120)
    assert (found.revision, found.version) == (2, "2") and callers.failed == []
    assert read_description(changes_nothing(rooms, NAME)).rollout == WIDE
    assert found.rollout is not None and found.rollout.state == "promoted" and not found.rollout.history
    shown = rooms.run(rooms.rollouts.get_rollout(NAME))
    assert {each.traffic for each in shown.history} == {30, 60, 95, 100}
    kept = tag_of(rooms, "2")
    assert kept["deployment"] == NAME and kept["state"] == "promoted" and kept["metrics"][0]["high"] <= 0.2
    version = rooms.run(rooms.registry.resolve("rolled-digits", "2"))
    assert version.rollout is not None and version.rollout.deployment == NAME
    assert version.rollout.why == shown.why and version.rollout.ended_at == shown.ended_at > 0
    assert not (rooms.settings.data_dir / "deployments" / NAME / "rollout.json").exists()


def test_harm_is_stopped_while_no_lab_runs_and_the_next_one_says_why(
    rooms: Rooms, running: Deployment, versions: Logged
) -> None:
    before = now(rooms)
    address = urlsplit(running.url)
    with open_rooms(rooms.settings) as lab:
        # The other Lab of this user does not look for work while this one has it.
        begun = roll_out(lab, "4", WIDE)
        body = json.dumps({"inputs": versions.inputs.tolist()}).encode()
        callers = Callers(address.port or 0, f"{address.path}/invocations", key_of(lab, NAME), body, 2)
    evidence = rooms.settings.data_dir / "deployments" / NAME / "evidence.json"
    callers.start()
    try:
        eventually(
            lambda: json.loads(evidence.read_bytes())["state"], lambda state: state == "rolled back", 60
        )
        found = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 120)
    finally:
        callers.stop()
    assert found.revision == before.revision
    assert "(rolled-digits version 4) was rolled back: Failures: 100.00% with the candidate" in found.message
    assert found.message.endswith(f"Revision {before.revision} goes on.")
    assert ("deployment", NAME) in rooms.events_seen, "a panel that is open is told"
    text = str(render(views.deployment(found)))
    assert "rolled back" in text and moment(found.rollout.ended_at if found.rollout else None) in text
    task = rooms.run(rooms.tasks.wait(begun.task_id))
    assert task.state == "failed" and "Failures" in task.message
    assert tag_of(rooms, "4")["by"] == "the judge"
    folder = rooms.settings.data_dir / "deployments" / NAME / "revisions"
    assert len(commands_with(str(folder))) <= 2, "the process of the candidate has ended"


def test_a_candidate_that_leaks_up_to_its_limit_is_rolled_back_with_the_numbers(
    rooms: Rooms, running: Deployment, versions: Logged, training: Training
) -> None:
    """No test of failures or latency sees it: the requests wait while the model is loaded again."""
    import mlflow

    class Leaking(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            self.kept = []

        def predict(self, context, model_input, params=None):
            self.kept.append(bytearray(b"x") * 40_000_000)
            return [0] * len(model_input)

    mlflow.set_tracking_uri(rooms.mlflow.uri)
    with training.run() as run:
        info = mlflow.pyfunc.log_model(name="model", python_model=Leaking(), pip_requirements=["mlflow"])
    register(rooms, "leaking", Logged(run.info.run_id, training.folder(info.model_id), None, []))  # type: ignore[arg-type]
    before = now(rooms)
    with traffic(rooms, running, versions) as callers:
        begun = deploy(
            rooms, "leaking", name=NAME, rollout=NARROW, trust=shown(rooms, "leaking"),
            settings={"memory": "1GB"},
        )  # fmt: skip
        found = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 120)
        count = callers.done
        eventually(lambda: callers.done, lambda done: done > count + 5)
    assert (found.state, found.revision) == ("running", before.revision)
    assert "(leaking version 1) was rolled back: The model of the candidate was loaded again" in found.message
    assert (
        "of memory, more than its limit of 1.0 GB. Its log ends: The model is loaded again" in found.message
    )
    assert found.message.endswith(f"Revision {before.revision} goes on.")
    assert rooms.run(rooms.tasks.wait(begun.task_id)).state == "failed"
    assert callers.answers[str(before.revision)] > 20 and callers.failed == [], callers.failed


def test_a_decision_ends_what_a_command_without_a_lab_left(
    rooms: Rooms, running: Deployment, versions: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_looks(*_: Any) -> None:
        return

    monkeypatch.setattr(WorkService, "_look", nobody_looks)
    before = now(rooms)
    with traffic(rooms, running, versions):
        with open_rooms(rooms.settings) as left:
            roll_out(left, "3", NARROW)
        found = decide(rooms, "rollback")
    assert (found.revision, found.updating_to) == (before.revision, 0)
    assert found.rollout is not None and found.rollout.state == "rolled back"


def test_people_hold_promote_and_roll_back(rooms: Rooms, running: Deployment) -> None:
    begun = roll_out(rooms, "3", NARROW)
    before, candidate = begun.revision, begun.updating_to
    weights = {each.number: each.weight for each in begun.revisions if each.weight}
    assert weights == {before: 70, candidate: 30}
    with pytest.raises(Conflict) as caught:
        deploy(rooms, "rolled-digits", name=NAME, version="1", rollout=WIDE)
    assert caught.value.code == "under_way"
    held = decide(rooms, "hold")
    assert held.rollout is not None and held.rollout.state == "held" and held.updating_to == candidate
    assert decide(rooms, "continue").rollout is not None
    found = decide(rooms, "rollback")
    assert found.revision == before and not found.updating_to and "rolled it back" in found.message
    with pytest.raises(Conflict, match="no rollout in progress"):
        decide(rooms, "promote")
    task = rooms.run(rooms.tasks.wait(begun.task_id))
    assert task.state == "done", task  # a person wanted it

    begun = roll_out(rooms, "3", NARROW)
    answers = rooms.gather(
        *(
            _or_error(rooms.rollouts.decide_rollout(NAME, DecideRollout(decision=each)))
            for each in ("promote", "rollback")
        )
    )
    refused = [each for each in answers if isinstance(each, GenOpsError)]
    assert len(refused) == 1 and "already" in refused[0].message, answers
    found = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 60)
    assert found.revision in (before, begun.updating_to)


async def _or_error(call: Any) -> Any:
    try:
        return await call
    except GenOpsError as error:
        return error


#: The moment before which nobody has decided.
DECIDES = 5
#: Of a rollout: the revision is started, the steps "answer" and "judge" are noted, the rollout begins, both are routed,
#: a person decides. Then "serve" is noted, the revision becomes the current one, it is routed, the rollout is
#: forgotten, its evidence is kept, the end is noted. A way back: weights, route, stop, rollout, evidence, the
#: deployment, the end.
KILLED = [
    pytest.param(decision, moment, marks=() if (decision, moment) in daily else pytest.mark.exhaustive)
    for daily in [{("promote", 9), ("rollback", 11)}]
    for decision, moments in (("promote", 12), ("rollback", 13))
    for moment in range(moments)
]


@pytest.mark.parametrize(("decision", "moment"), KILLED)
def test_a_lab_that_is_killed_in_any_step_changes_nothing(
    rooms: Rooms, running: Deployment, versions: Logged, decision: Any, moment: int
) -> None:
    """The next one goes on, no request fails, and the end is that which was decided, with its reason and evidence."""
    before = now(rooms)
    version = "3" if before.version != "3" else "1"
    new = NewDeployment(model="rolled-digits", name=NAME, version=version, rollout=NARROW)
    client = mlflow_client(rooms)
    client.delete_model_version_tag("rolled-digits", version, "genops.rollout")
    with traffic(rooms, running, versions) as callers:
        lab = killed_lab(rooms.settings, new, decision, moment)
        assert lab.returncode == -signal.SIGKILL, lab.stderr[-2000:]
        if moment <= DECIDES:
            eventually(
                lambda: now(rooms),
                lambda seen: seen.rollout is not None and seen.rollout.candidate == seen.updating_to > 0,
            )
            decide(rooms, decision)
        found = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 120)
        count = callers.done
        eventually(lambda: callers.done, lambda done: done > count + 5)
    assert callers.failed == []
    kept = tag_of(rooms, version)
    state = "promoted" if decision == "promote" else "rolled back"
    assert kept["state"] == state and decision[:4] in kept["why"] and kept["by"] != "the judge", kept
    if decision == "promote":
        assert (found.version, found.message) == (version, ""), found
        back = rooms.run(rooms.deployments.roll_back_deployment(NAME, RollBack(to=before.revision)))
        back = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 120)
        assert [each.number for each in back.revisions if each.weight] == [before.revision]
    else:
        assert (found.revision, found.version) == (before.revision, before.version)
        assert "rolled it back" in found.message and found.message.endswith(
            f"Revision {before.revision} goes on."
        )
    assert not (rooms.settings.data_dir / "deployments" / NAME / "rollout.json").exists()


def test_a_rollout_that_is_cancelled_leaves_the_revision_before(rooms: Rooms, running: Deployment) -> None:
    before = now(rooms)
    version = "2" if before.version != "2" else "1"
    roll_out(rooms, version, RolloutPolicy(kind="blue-green"))
    found = rooms.run(rooms.deployments.roll_back_deployment(NAME, RollBack()))
    assert found.revision == before.revision and not found.updating_to
    assert not (rooms.settings.data_dir / "deployments" / NAME / "rollout.json").exists()


def test_outcomes_are_passed_to_the_rollout(rooms: Rooms, running: Deployment) -> None:
    before = now(rooms)
    version = "2" if before.version != "2" else "1"
    accepted = RolloutOutcome(name="accepted", margin=0.1)
    roll_out(rooms, version, RolloutPolicy(kind="a/b", outcomes=[accepted], warm_up="0s"))

    def send(**fields: Any) -> Any:
        given = {"request_id": "r1", "name": "accepted", "value": 1.0} | fields
        return rooms.run(rooms.rollouts.add_feedback(NewFeedback(**given)))

    assert "unknown" in send().reason and "no outcome 'other'" in send(name="other").reason
    with pytest.raises(NotFound):
        send(deployment="nothing-of-this-name")
    decide(rooms, "rollback")
    assert send().reason == "No deployment has a rollout that collects outcomes."
    with pytest.raises(NotFound):
        rooms.run(rooms.rollouts.get_rollout("nothing-of-this-name"))


def test_a_policy_names_what_is_wrong() -> None:
    assert named_policy("canary").judged and not named_policy("replace").judged
    text = (
        "kind: a/b\nsteps: [{traffic: 20}]\nlatency: {quantile: 0.5}\noutcomes: [{name: ok, margin: 0.02}]\n"
    )
    found = read_policy(text, "rollout.yaml")
    assert (found.kind, found.latency.ratio if found.latency else 0) == ("a/b", 1.2)
    for wrong, message in (
        ({"kind": "Canary"}, "Invalid enum value 'Canary'"),
        ({"stepz": []}, "unknown field `stepz`"),
        ({"steps": [{"traffic": 50}, {"traffic": 10}]}, "traffic of steps rises"),
        ({"steps": [{"traffic": 100}]}, "compares nothing"),
        ({"unit": "header"}, "no header is named"),
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"failures": 5}, "a share between 0 and 1"),
        ({"lasts": "soon"}, "'soon' is no time"),
        ({"watch": "an hour"}, "'an hour' is no time"),
        ({"outcomes": [{"name": "a", "margin": 2}]}, "low below high"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            decode_policy(wrong)
    with pytest.raises(InvalidRequest, match=r"rollout.yaml is no YAML: line 1"):
        read_policy("kind: [", "rollout.yaml")


def test_the_outlook_says_what_the_traffic_can_show() -> None:
    policy = RolloutPolicy(lasts="1h")
    busy, quiet = outlook(policy, 36_000, 360, 3600.0).lines, outlook(policy, 360, 4, 3600.0).lines
    assert busy[0] == "36,000 requests an hour, 1.00% of them failed, in the last 60 min."
    assert len(busy) == 5 and "by 1 point is excluded" in busy[-2]
    assert busy[-1] == "Then it is watched for 60 min: harm that begins late rolls it back."
    assert len(outlook(RolloutPolicy(watch="0s"), 36_000, 360, 3600.0).lines) == 4
    assert "it will be held" in quiet[-1]
    assert "too few" in outlook(policy, 3, 0, 60.0).lines[0]
    assert "until a person promotes" in outlook(RolloutPolicy(kind="blue-green"), 0, 0, 0.0).lines[0]
    assert NewDeployment(model="m").rollout is None
