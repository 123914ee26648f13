"""Targets that are added, changed and removed, without a host: nothing here may connect."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from genops_lab.core.store import LocalStore
from genops_lab.core.store.tables import remote_kernels
from genops_lab.hosts.ledger import Ledger
from genops_lab.hosts.models import ChangeTarget, NewTarget, RemoveQuery, StopKernel
from genops_lab.hosts.records import record_of
from tests.support.application import Lab
from tests.support.homes import Home

from .labs import open_lab, run, until


def kernelspecs(home: Home) -> dict[str, dict[str, Any]]:
    return {
        path.parent.name: json.loads(path.read_text())
        for path in (home.path / "data" / "kernels").glob("genops-*/kernel.json")
    }


def new(name: str = "gpu1", **fields: Any) -> NewTarget:
    return NewTarget(name=name, **{"host": f"{name}.invalid", **fields})


async def own_kernel(lab: Lab, kernel_id: str, target: str, path: str = "") -> None:
    """What the restoring of kernels keeps of one."""
    with lab.store.transaction() as connection:
        connection.execute(
            remote_kernels.insert().values(
                kernel_id=kernel_id, target=target, kernel_name=f"genops-{target}", path=path or None,
                documented_seq=0, started_at=time.time(),
            )
        )  # fmt: skip


def test_a_target_is_added_with_its_kernel_and_nothing_connects(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            heard: list[tuple[str, str]] = []
            lab.events.listen(lambda kind, id, _revision: heard.append((kind, id)))
            body = new(
                user="ada", port=2222, python="~/venv/bin/python", price_per_hour=2.5, secrets=["HF_TOKEN"]
            )
            found = await lab.targets.add_target(body)
            assert (found.name, found.host, found.user, found.port) == ("gpu1", "gpu1.invalid", "ada", 2222)
            assert (found.python, found.price_per_hour, found.secrets) == (
                "~/venv/bin/python",
                2.5,
                ["HF_TOKEN"],
            )
            assert (found.kernel_name, found.state, found.locked) == ("genops-gpu1", "idle", False)
            assert found.reading is None
            assert await lab.targets.list_targets() == [found]
            assert (await lab.target_tests.get_report("gpu1")).state == "none"
            [place] = await lab.remote_kernels.list_remote_kernels()
            assert (place.connected, place.kernels, place.message) == (False, [], "not connected")
            assert lab.links.known() == []
            await lab.events.close()
            assert ("target", "gpu1") in heard
        specification = kernelspecs(at_home)["genops-gpu1"]
        assert specification["display_name"] == "Python 3 (gpu1)"
        provisioner = specification["metadata"]["kernel_provisioner"]
        assert provisioner["config"]["target"] == "gpu1"
        async with open_lab(at_home) as again:
            assert await again.targets.list_targets() == [found]

    run(body())


def test_a_double_click_adds_once(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab, open_lab(at_home) as other:
            services = [lab.targets, other.targets, lab.targets, other.targets]
            found = await asyncio.gather(*(each.add_target(new()) for each in services))
            assert len({each.name for each in found}) == 1
            assert len(await lab.targets.list_targets()) == 1
            with pytest.raises(Conflict, match=r"already, for gpu1\.invalid") as caught:
                await lab.targets.add_target(new(host="other.invalid"))
            assert caught.value.code == "name_in_use"
            with pytest.raises(Conflict):
                await lab.targets.add_target(new(python="python3.9"))

    run(body())


def test_adding_again_puts_a_lost_kernel_back(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(new())
            shutil.rmtree(at_home.path / "data" / "kernels" / "genops-gpu1")
            await lab.targets.add_target(new())
            assert list(kernelspecs(at_home)) == ["genops-gpu1"]

    run(body())


def test_a_kernel_of_that_name_that_is_not_ours_stays_and_nothing_is_added(at_home: Home) -> None:
    theirs = at_home.path / "data" / "kernels" / "genops-gpu1" / "kernel.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('{"argv": ["mine"]}')

    async def body() -> None:
        async with open_lab(at_home) as lab:
            with pytest.raises(Conflict, match="genops-gpu1"):
                await lab.targets.add_target(new())
            assert await lab.targets.list_targets() == []

    run(body())
    assert theirs.read_text() == '{"argv": ["mine"]}'


@pytest.mark.parametrize("name", ["größe", "../../x", "x" * 500, "", "a/b"])
def test_names_that_cannot_be_are_refused_everywhere(at_home: Home, name: str) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            with pytest.raises(InvalidRequest):
                await lab.targets.add_target(new(name=name, host="h"))
            for call in (lab.targets.get_target, lab.target_tests.test_target, lab.target_tests.get_report,
                         lab.targets.connect_target, lab.targets.disconnect_target,
                         lab.remote_kernels.list_target_kernels):  # fmt: skip
                with pytest.raises(NotFound, match="no target"):
                    await call(name)
            with pytest.raises(NotFound):
                await lab.targets.remove_target(name, RemoveQuery(force=True))
            assert await lab.targets.list_targets() == []

    run(body())
    assert kernelspecs(at_home) == {}


def test_price_and_secrets_can_be_changed(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(new(price_per_hour=1.0))
            changed = await lab.targets.change_target("gpu1", ChangeTarget(secrets=["B", "A", "B"]))
            assert (changed.price_per_hour, changed.secrets) == (None, ["A", "B"])
            for bad in (ChangeTarget(price_per_hour=-1), ChangeTarget(secrets=["JPY_API_TOKEN"])):
                with pytest.raises(InvalidRequest):
                    await lab.targets.change_target("gpu1", bad)
            with pytest.raises(NotFound):
                await lab.targets.change_target("gpu2", ChangeTarget())
            assert (await lab.targets.get_target("gpu1")).secrets == ["A", "B"]

    run(body())


def test_a_target_with_kernels_of_this_lab_is_removed_by_force_alone(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            for name in ("gpu1", "gpu2"):
                await lab.targets.add_target(new(name))
            await own_kernel(lab, "k-1", "gpu1", "train.ipynb")
            await own_kernel(lab, "k-2", "gpu1")
            with pytest.raises(Conflict, match=r"train\.ipynb \(k-1\), k-2") as caught:
                await lab.targets.remove_target("gpu1", RemoveQuery())
            assert caught.value.details == {"kernels": ["k-1", "k-2"]}
            assert "--force" in caught.value.hint
            assert list(kernelspecs(at_home)) and len(await lab.targets.list_targets()) == 2

            removed = await lab.targets.remove_target("gpu1", RemoveQuery(force=True))
            assert removed.kernels_left == ["k-1", "k-2"]
            assert "2 kernels run on" in removed.message
            assert (await lab.targets.remove_target("gpu2", RemoveQuery())).kernels_left == []
            assert await lab.targets.list_targets() == []
            with pytest.raises(NotFound):
                await lab.targets.remove_target("gpu1", RemoveQuery())
            assert await asyncio.to_thread(lab.targets.ledger.own_kernels, "gpu1") == []

    run(body())
    assert kernelspecs(at_home) == {}


def test_targets_that_are_not_connected_are_not_asked_for_kernels(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(new())
            with pytest.raises(Conflict, match="not connected") as caught:
                await lab.remote_kernels.stop_remote_kernel("gpu1", "k", StopKernel())
            assert "genops targets connect gpu1" in caught.value.hint
            assert lab.links.known() == []

    run(body())


def test_the_administrators_targets_come_first_and_stay(at_home: Home) -> None:
    given = (new("shared", price_per_hour=9.0), new("other"))

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(new("mine"))
            await lab.targets.add_target(new("shared", host="mine.invalid"))
        async with open_lab(at_home, targets=given) as lab:
            found = await lab.targets.list_targets()
            assert [(each.name, each.locked) for each in found] == [
                ("shared", True), ("other", True), ("mine", False),
            ]  # fmt: skip
            assert (found[0].host, found[0].price_per_hour) == ("shared.invalid", 9.0)
            with pytest.raises(NotAllowed, match="administrator"):
                await lab.targets.remove_target("shared", RemoveQuery(force=True))
            with pytest.raises(NotAllowed, match="administrator"):
                await lab.targets.change_target("shared", ChangeTarget())
            await lab.targets.add_target(given[0])  # the same again changes nothing
            with pytest.raises(Conflict):
                await lab.targets.add_target(new("shared", host="mine.invalid"))
            assert set(kernelspecs(at_home)) == {"genops-shared", "genops-other", "genops-mine"}
        async with open_lab(at_home) as lab:  # a command without a server leaves them alone
            assert len(await lab.targets.list_targets()) == 3
        async with open_lab(at_home, targets=()) as lab:
            assert [each.name for each in await lab.targets.list_targets()] == ["mine"]
        assert set(kernelspecs(at_home)) == {"genops-mine"}

    run(body())


def test_four_targets_are_connected_at_a_time(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from genops_lab.hosts.link import carrier
    from genops_lab.hosts.link.errors import HostUnreachable

    under_way, most, tried = 0, 0, 0
    let_go = threading.Event()

    async def nowhere(*_: Any, **__: Any) -> Any:
        nonlocal under_way, most, tried
        under_way, tried = under_way + 1, tried + 1
        most = max(most, under_way)
        while not let_go.is_set():
            await asyncio.sleep(0.01)
        under_way -= 1
        raise HostUnreachable("nobody is there", hint="none")

    monkeypatch.setattr(carrier, "open_carriage", nowhere)

    async def body() -> None:
        async with open_lab(at_home) as lab:
            names = [f"gpu{number}" for number in range(10)]
            for name in names:
                await lab.targets.add_target(new(name))
                assert (await lab.targets.connect_target(name)).state == "connecting"

            async def begun() -> int:
                return under_way

            await until(begun, lambda count: count == 4)
            assert (await lab.targets.disconnect_target("gpu9")).state == "idle"
            let_go.set()
            found = await until(
                lab.targets.list_targets, lambda found: all(each.state != "connecting" for each in found)
            )
            assert [each.state for each in found] == ["failed"] * 9 + ["idle"]
            assert (most, tried) == (4, 9)

    run(body())


def test_who_listens_gets_the_targets_and_their_changes(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            seen: list[list[str]] = []

            def listen(_topic: str, found: list[Any]) -> None:
                seen.append([each.name for each in found])

            async def last() -> list[str] | None:
                return seen[-1] if seen else None

            lab.live.join("targets", listen)
            assert await until(last, lambda names: names is not None) == []
            await lab.targets.add_target(new())
            assert await until(last, bool) == ["gpu1"]
            lab.live.leave("targets", listen)
            assert lab.links.known() == [], "listening connects nowhere"

    run(body())


def test_users_may_be_kept_from_adding_targets(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home, targets=(new("shared"),), allow_user_targets=False) as lab:
            with pytest.raises(NotAllowed) as caught:
                await lab.targets.add_target(new("mine"))
            assert caught.value.hint
            assert [each.name for each in await lab.targets.list_targets()] == ["shared"]

    run(body())


def test_a_kernel_folder_that_cannot_be_written_keeps_no_lab_from_opening(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(new())
        folder = at_home.path / "data" / "kernels" / "genops-gpu1"
        shutil.rmtree(folder)
        folder.write_text("in the way")
        async with open_lab(at_home) as lab:
            assert [each.name for each in await lab.targets.list_targets()] == ["gpu1"]

    run(body())


def test_a_host_of_the_ssh_config_is_added_by_its_alias(at_home: Home) -> None:
    (at_home.path / ".ssh" / "config").write_text("Host A100\n  HostName a100.invalid\nHost *\n  User ada\n")

    async def body() -> None:
        async with open_lab(at_home) as lab:
            [candidate] = await lab.targets.list_candidates()
            await lab.targets.add_target(NewTarget(name=candidate.name, host=candidate.alias))
            assert await lab.targets.list_candidates() == []
            assert [each.host for each in await lab.targets.list_targets()] == ["A100"]

    run(body())


def test_the_store_holds_no_value_of_a_secret(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret_value")

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(new(secrets=["HF_TOKEN"]))

    run(body())
    files = [path for path in Path(at_home.path).rglob("*") if path.is_file()]
    assert any(path.name == "kernel.json" for path in files)
    assert [path for path in files if b"hf_very_secret_value" in path.read_bytes()] == []


@pytest.mark.parametrize(
    "targets",
    [
        [{"name": "GPU 1", "host": "h"}],
        [{"host": "h"}],
        [{"name": "a"}],
        [{"name": "a", "host": "h", "port": "many"}],
        [{"name": "a", "host": "h"}, {"name": "a", "host": "i"}],
        [{"name": "a", "host": "-oProxyCommand=x"}],
    ],
)
def test_a_configuration_that_cannot_be_used_is_told(targets: list[dict[str, Any]]) -> None:
    from genops_lab.app.extension import GenOpsLab

    with pytest.raises(InvalidRequest, match=r"GenOpsLab\.targets") as caught:
        GenOpsLab(targets=targets)._administrators_targets()
    assert caught.value.hint


def test_a_configuration_is_read() -> None:
    from genops_lab.app.extension import GenOpsLab

    given = [
        {"name": "a", "host": "h", "price_per_hour": 2, "secrets": ["HF_TOKEN"]},
        {"name": "b", "kind": "local"},
    ]
    found = GenOpsLab(targets=given)._administrators_targets()
    assert [(each.name, each.host, each.price_per_hour) for each in found] == [
        ("a", "h", 2.0),
        ("b", "", None),
    ]


def test_a_change_goes_before_or_after_the_administrator_and_never_over_it(tmp_path: Path) -> None:
    store, other = LocalStore(tmp_path / "store.db"), LocalStore(tmp_path / "store.db")
    ledger = Ledger(store)
    ledger.add(record_of(new()))
    taken_over: list[bool] = []

    def take_over() -> None:
        if not taken_over:
            taken_over.append(True)
            Ledger(other).adopt([record_of(new(price_per_hour=9.0))])

    def then_another_server_starts(begin: Any) -> Any:
        @contextmanager
        def begun() -> Iterator[Any]:
            with begin() as connection:
                yield connection
            take_over()  # between this look at the store and the next one, if there is one

        return begun

    store.reading = then_another_server_starts(store.reading)  # type: ignore[method-assign]
    store.transaction = then_another_server_starts(store.transaction)  # type: ignore[method-assign]
    ledger.change("gpu1", ChangeTarget(price_per_hour=1.0))
    assert ledger.get("gpu1").price_per_hour == 9.0
    store.close()
    other.close()


def test_kinds_of_targets_say_what_they_ask_for_with_the_administrators_limits(at_home: Home) -> None:
    async def body() -> None:
        limits = {"ssh": {"carrier": {"default": "openssh", "locked": True}, "port": {"minimum": 1024}}}
        async with open_lab(at_home, target_fields=limits) as lab:
            kinds = {each.kind: each for each in await lab.targets.list_target_kinds()}
            fields = {field.name: field for field in kinds["ssh"].fields}
            assert fields["host"].required and fields["carrier"].choices == ["auto", "openssh", "paramiko"]
            assert (fields["carrier"].default, fields["carrier"].locked) == ("openssh", True)
            assert fields["port"].minimum == 1024 and fields["port"].widget == "number"
            assert fields["carrier"].administered == ["default", "locked"]
            assert fields["port"].administered == ["minimum"] and not fields["host"].administered
            assert [field.name for field in kinds["local"].fields] == ["python"]
            assert [step.name for step in kinds["ssh"].steps] == ["reachable", "host_key", "login"]
            given = {"host": "gpu1.invalid", "port": 2222}
            found = await lab.targets.add_target(NewTarget(name="gpu1", config=given))
            assert (found.host, found.port, found.carrier, found.where) == (
                "gpu1.invalid", 2222, "openssh", "gpu1.invalid",
            )  # fmt: skip
            assert found.config["carrier"] == "openssh"
            for wrong, why in (
                ({"port": 22}, "is not a port"),
                ({"carrier": "paramiko"}, "The administrator has set"),
            ):
                with pytest.raises(InvalidRequest, match=why):
                    await lab.targets.add_target(NewTarget(name="gpu2", config={**given, **wrong}))
            with pytest.raises(InvalidRequest, match="is not a kind of target"):
                await lab.targets.add_target(NewTarget(name="gpu2", kind="moon"))

    run(body())
