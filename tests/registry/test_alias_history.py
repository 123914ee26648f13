"""The history of aliases: who moved which alias from where to where, also by other programs, other Labs and killed
ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound, Unavailable
from genops_lab.core.principals import PRINCIPAL, Principal
from genops_lab.core.settings import Settings
from genops_lab.registry import moves
from genops_lab.registry.backends.mlflow_aliases import TAG
from genops_lab.registry.ledger import AliasLedger
from genops_lab.registry.models import AliasMove, MovesQuery, RemoveAlias, RevertAlias, SetAlias
from genops_lab.registry.moves import AliasMoves
from tests.support.faults import FaultProxy, closed_port
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, postgres
from tests.support.quota import small_disk
from tests.support.rooms import Rooms, eventually, open_rooms
from tests.support.warm import warm_workers

T = TypeVar("T")

#: 250 characters, of which PostgreSQL counts characters and its indexes four bytes each.
LONG_NAME = "数𝛼é-" * 62 + "a"
LONG_ALIAS = "größe数" * 42 + "abc"


class Registry:
    """An MLflow with some models, as its own client sees and changes it."""

    def __init__(self, uri: str, folder: Path) -> None:
        import mlflow

        self.uri, self.folder = uri, folder
        self.client = mlflow.MlflowClient(uri)
        self._shown: Rooms | None = None

    def model(self, name: str, versions: int = 3) -> str:
        self.client.create_registered_model(name)
        run = self.client.create_run("0")
        for _ in range(versions):
            self.client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
        return name

    def alias(self, name: str, alias: str = "champion") -> str:
        return str(self.client.get_registered_model(name).aliases.get(alias, ""))

    def tags(self, name: str) -> dict[str, str]:
        found = self.client.get_registered_model(name).tags
        return {key: value for key, value in found.items() if key.startswith(TAG)}


class Lab:
    """A Lab of one user."""

    def __init__(self, rooms: Rooms, user: str) -> None:
        self.rooms, self.user = rooms, user

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def as_user() -> T:
            PRINCIPAL.set(Principal("user", self.user))
            return await work

        return self.rooms.run(as_user())

    def move(self, name: str, version: str, alias: str = "champion", **more: Any) -> None:
        self.run(self.rooms.registry.set_alias(name, alias, SetAlias(version=version, **more)))

    def revert(self, name: str, alias: str = "champion", **more: Any) -> None:
        self.run(self.rooms.registry.revert_alias(name, alias, RevertAlias(**more)))

    def history(self, name: str, **query: Any) -> list[AliasMove]:
        return self.run(self.rooms.registry.list_moves(name, MovesQuery(**query))).items

    def shown(self, name: str) -> list[tuple[str, str | None, str]]:
        return [(each.kind, each.from_version, each.to_version) for each in self.history(name)]


@contextlib.contextmanager
def lab(user: str, data: Path, registry: Registry, store_url: str = "") -> Iterator[Lab]:
    with open_rooms(Settings(data_dir=data, mlflow_uri=registry.uri, store_url=store_url)) as rooms:
        yield Lab(rooms, user)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as found, warm_workers():
        yield found


@pytest.fixture(scope="module")
def registry(home: Home) -> Registry:
    place_server_store(home.path / "mlflow.db")
    return Registry(f"sqlite:///{home.path}/mlflow.db", home.path)


@pytest.fixture(scope="module")
def ada(home: Home, registry: Registry) -> Iterator[Lab]:
    with lab("ada", home.path / "ada", registry) as found:
        yield found


@pytest.fixture(scope="module")
def bob(home: Home, registry: Registry) -> Iterator[Lab]:
    """With a store of his own."""
    with lab("bob", home.path / "bob", registry) as found:
        yield found


@pytest.fixture(scope="module")
def eve(home: Home, registry: Registry, ada: Lab) -> Iterator[Lab]:
    """With the shared store of ada."""
    with lab("eve", home.path / "eve", registry, f"sqlite:///{home.path}/ada/shared.db") as found:
        yield found


@pytest.fixture(scope="module")
def server(home: Home, registry: Registry) -> Iterator[int]:
    """The port of MLflow's own server, on the same database."""
    with running_mlflow(home, registry.uri, home.path / "artifacts") as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture(params=["sqlite", "http", pytest.param("postgresql", marks=pytest.mark.exhaustive)])
def any_registry(request: pytest.FixtureRequest, home: Home) -> Iterator[Registry]:
    if request.param == "sqlite":
        yield request.getfixturevalue("registry")
    elif request.param == "http":
        yield Registry(f"http://127.0.0.1:{request.getfixturevalue('server')}", home.path / "http")
    elif missing():
        pytest.skip(missing())
    else:
        with postgres() as found:
            yield Registry(found.uri(), home.path / "postgresql")


def test_each_move_is_in_mlflow_and_in_the_store(any_registry: Registry, home: Home) -> None:
    with lab("ada", any_registry.folder / "of-ada", any_registry) as ada:
        name = any_registry.model(LONG_NAME + any_registry.folder.name[0])
        evidence = {"runs": ["é" * 100], "note": '"' * 900}
        ada.move(name, "1", LONG_ALIAS, reason="first\n" + '"' * 990, evidence=evidence)
        ada.move(name, "3", LONG_ALIAS, expected="1")
        ada.move(name, "3", LONG_ALIAS, reason="It is there already: no event.")
        ada.move(name, "2")
        ada.run(ada.rooms.registry.delete_alias(name, LONG_ALIAS, RemoveAlias(reason="done", expected="3")))
        ada.revert(name, LONG_ALIAS)
        assert any_registry.alias(name, LONG_ALIAS) == "3"
        found = ada.history(name, alias=LONG_ALIAS)
        listed = [(each.from_version, each.to_version, each.reason[:6], each.who) for each in reversed(found)]
        assert listed == [
            ("", "1", "first\n", "ada"), ("1", "3", "", "ada"), ("3", "", "done", "ada"), ("", "3", "Back t", "ada"),
        ]  # fmt: skip
        assert found[-1].evidence == evidence and len(found[-1].reason) == 996
        assert {each.kind for each in found} == {"lab"} and abs(found[0].at - time.time()) < 60
        first = ada.run(ada.rooms.registry.list_moves(name, MovesQuery(limit=2)))
        rest = ada.run(ada.rooms.registry.list_moves(name, MovesQuery(limit=4, after=first.next)))
        assert len({each.id for each in (*first.items, *rest.items)}) == 5 and rest.next == ""
        tags = any_registry.tags(name)
        assert len(tags) == 5 and max(map(len, tags)) <= 250 and 4000 < max(map(len, tags.values())) <= 5000
        # Another Lab, with a store of its own, sees them by the tags.
        with lab("bob", any_registry.folder / "of-bob", any_registry) as bob:
            assert bob.history(name) == ada.history(name)


def test_a_stale_page_moves_nothing_and_is_told_who_moved(ada: Lab, registry: Registry) -> None:
    name = registry.model("stale")
    ada.move(name, "1", expected="")
    ada.move(name, "2", reason="better")
    for stale in (
        lambda: ada.move(name, "3", expected="1"),
        lambda: ada.revert(name, expected="1"),
        lambda: ada.run(ada.rooms.registry.delete_alias(name, "champion", RemoveAlias(expected="1"))),
    ):
        with pytest.raises(
            Conflict, match=r"names version 2, not version 1\. ada moved it at .* \(better\)"
        ) as caught:
            stale()
        assert caught.value.code == "alias_moved" and caught.value.details["version"] == "2"
    assert registry.alias(name) == "2" and len(ada.history(name)) == 2


def test_of_two_movers_with_a_shared_store_one_wins(ada: Lab, eve: Lab, registry: Registry) -> None:
    one_of_two_wins(ada, eve, registry, registry.model("raced"), "champion")


@pytest.mark.exhaustive
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_of_two_movers_with_postgresql_one_wins(home: Home, registry: Registry) -> None:
    with postgres() as server:
        url = server.database()
        with (
            lab("ada", home.path / "ada-pg", registry, url) as ada,
            lab("eve", home.path / "eve-pg", registry, url) as eve,
        ):
            name = registry.model(LONG_NAME + "p")
            for alias in ("champion", LONG_ALIAS):
                one_of_two_wins(ada, eve, registry, name, alias)
            server.stop()
            with pytest.raises(Unavailable, match="shared GenOps store"):
                ada.move(name, "2", "other")
            server.start()
            assert registry.alias(name, "other") == "" and len(ada.history(name)) == 4


def one_of_two_wins(ada: Lab, eve: Lab, registry: Registry, name: str, alias: str) -> None:
    ada.move(name, "1", alias)
    assert eve.history(name) == ada.history(name)
    outcomes: list[tuple[Lab, str, GenOpsError | None]] = []
    begin = threading.Barrier(2)

    def move(by: Lab, version: str) -> None:
        begin.wait()
        try:
            by.move(name, version, alias, expected="1")
            outcomes.append((by, version, None))
        except GenOpsError as error:
            outcomes.append((by, version, error))

    threads = [threading.Thread(target=move, args=each) for each in ((ada, "2"), (eve, "3"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner, version, _), (_, _, error) = sorted(outcomes, key=lambda each: each[2] is not None)
    assert [each[2] is None for each in outcomes].count(True) == 1
    assert isinstance(error, Conflict) and winner.user in error.message, error
    assert registry.alias(name, alias) == version
    found = ada.history(name, alias=alias)
    assert [(each.from_version, each.to_version) for each in found] == [("1", version), ("", "1")]
    assert sum(key.startswith(f"{TAG}{alias[:100]}") for key in registry.tags(name)) == 2


def test_of_two_movers_without_a_shared_store_both_are_kept(
    ada: Lab, bob: Lab, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = registry.model("overtaken")
    ada.move(name, "1")
    tag = AliasMoves._tag

    async def overtaken(self: AliasMoves, move: AliasMove) -> int:
        if self is ada.rooms.moves and move.to_version == "2":
            await asyncio.to_thread(bob.move, name, "3", reason="mine")
        return await tag(self, move)

    monkeypatch.setattr(AliasMoves, "_tag", overtaken)
    with pytest.raises(Conflict, match=r"names version 3, not version 2\. bob moved it at .* \(mine\)"):
        ada.move(name, "2")
    for each in (ada, bob):
        assert [(move.who, move.to_version) for move in each.history(name) if move.kind == "lab"] == [
            ("bob", "3"), ("ada", "2"), ("ada", "1"),
        ], each.user  # fmt: skip
    assert ada.history(name) == bob.history(name)
    assert ada.shown(name)[0] == ("lab", ada.history(name)[0].from_version, registry.alias(name))


def test_a_move_by_another_program_is_shown_as_such_with_its_window(
    ada: Lab, bob: Lab, eve: Lab, registry: Registry
) -> None:
    name = registry.model("outside")
    registry.client.set_registered_model_alias(name, "older", "1")
    assert ada.shown(name) == [("found", None, "1")]
    with pytest.raises(Conflict, match="does not know where the alias 'older' pointed before version 1"):
        ada.revert(name, "older")
    ada.move(name, "1")
    before = time.time()
    registry.client.set_registered_model_alias(name, "champion", "2")
    registry.client.set_registered_model_alias(name, "new", "3")
    both = ada.rooms.gather(*(each.rooms.moves.reconcile(name) for each in (ada, ada)))
    assert both[0].reading == both[1].reading
    found = {move.alias: move for move in ada.history(name)[:2]}
    assert {alias: (each.kind, each.from_version, each.to_version) for alias, each in found.items()} == {
        "champion": ("outside", "1", "2"), "new": ("outside", "", "3"),
    }  # fmt: skip
    for move in found.values():
        assert move.since is not None and move.since < before + 1 and before < move.at < time.time() + 1
        assert not move.who
    assert eve.history(name) == ada.history(name)
    # bob's Lab looks for the first time, and learns them by their tags.
    assert {move.id for move in bob.history(name)} >= {move.id for move in found.values()}
    assert len(registry.tags(name)) == 3
    with pytest.raises(Conflict, match=r"It was moved outside GenOps Lab between .* UTC and .* UTC"):
        ada.move(name, "3", expected="1")
    ada.revert(name)
    assert registry.alias(name) == "1" and ada.history(name)[0].reason == "Back to version 1"
    ada.revert(name)
    assert registry.alias(name) == "2"


def test_a_change_in_mlflow_is_looked_at_without_a_question(ada: Lab, registry: Registry) -> None:
    name = registry.model("watched")
    ada.move(name, "1")
    registry.client.set_registered_model_alias(name, "champion", "2")
    ada.rooms.events_seen.clear()
    ada.rooms.loop.call_soon_threadsafe(ada.rooms.events.emit, "model")  # as OutsideChanges does
    eventually(lambda: ada.rooms.events_seen, lambda seen: ("model", name) in seen)
    eventually(lambda: registry.tags(name), lambda tags: len(tags) == 2)


def test_an_outside_move_that_a_slow_lab_tells_later_is_one_event(
    ada: Lab, bob: Lab, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = registry.model("told late")
    ada.move(name, "1")
    bob.history(name)
    tag = AliasMoves._tag

    async def late(self: AliasMoves, move: AliasMove) -> int:
        if self is ada.rooms.moves:
            assert (await asyncio.to_thread(bob.shown, name))[0] == ("outside", "1", "2")
        return await tag(self, move)

    monkeypatch.setattr(AliasMoves, "_tag", late)
    ada.move(name, "2")
    monkeypatch.undo()
    assert bob.shown(name) == ada.shown(name) == [("lab", "1", "2"), ("lab", "", "1")]
    assert len(registry.tags(name)) == 2


def test_a_deleted_version_is_neither_reverted_to_nor_promoted(
    ada: Lab, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = registry.model("deleted")
    ada.move(name, "1")
    ada.move(name, "2")
    registry.client.delete_model_version(name, "1")
    with pytest.raises(Conflict, match="cannot go back to version 1 of 'deleted': this version was deleted"):
        ada.revert(name)
    carry_out = AliasMoves._carry_out

    async def deleted(self: AliasMoves, made: int, move: AliasMove) -> None:
        registry.client.delete_model_version(name, "3")
        await carry_out(self, made, move)

    monkeypatch.setattr(AliasMoves, "_carry_out", deleted)
    with pytest.raises(NotFound, match="Cannot set the alias 'champion' of 'deleted'"):
        ada.move(name, "3")
    monkeypatch.undo()
    assert registry.alias(name) == "2" and len(ada.history(name)) == 2
    registry.client.delete_model_version(name, "2")
    assert ada.shown(name)[0] == ("outside", "2", "")
    registry.client.delete_registered_model(name)
    registry.model(name, 1)
    assert ada.history(name) == [], "a new model of this name has a new history"
    with pytest.raises(NotFound, match="never had an alias 'champion'"):
        ada.revert(name)


#: Where a Lab is killed: the method before which it happens, and whether the alias has moved then.
MOMENTS = {
    "claim": (AliasLedger, "claim", False),
    "alias": (AliasMoves, "_carry_out", False),
    "tag": (AliasMoves, "_tag", True),
    "event": (AliasLedger, "finish", True),
    "answer": (Rooms, "close", True),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_kill_history_and_alias_agree(ada: Lab, eve: Lab, registry: Registry, moment: str) -> None:
    name = registry.model(f"killed before its {moment}")
    ada.move(name, "1")
    eve.history(name)
    owner, method, moved = MOMENTS[moment]

    def live() -> None:
        def killed(*_: Any) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, method, killed)
        with lab("ada", ada.rooms.settings.data_dir, registry) as other:
            other.move(name, "2", reason="killed")

    process = multiprocessing.get_context("fork").Process(target=live)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert registry.alias(name) == ("2" if moved else "1")
    wanted = [("lab", "1", "2")] if moved else []
    # The next Lab of the same user knows at once that the process is gone.
    ada.rooms.run(ada.rooms.moves.supervise())
    assert len(registry.tags(name)) == 1 + moved
    for each in (ada, eve):
        assert each.shown(name) == [*wanted, ("lab", "", "1")]
    ada.move(name, "3", expected="2" if moved else "1")
    assert registry.alias(name) == "3"


def test_a_move_of_an_unknown_process_is_waited_for_and_then_given_up(
    ada: Lab, eve: Lab, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = registry.model("held up")
    ada.move(name, "1")
    carry_out = AliasMoves._carry_out
    stopped, go_on = threading.Event(), threading.Event()

    async def held_up(self: AliasMoves, made: int, move: AliasMove) -> None:
        if self is ada.rooms.moves:
            stopped.set()
            await asyncio.to_thread(go_on.wait, 60)
        await carry_out(self, made, move)

    monkeypatch.setattr(AliasMoves, "_carry_out", held_up)
    mover = threading.Thread(target=ada.move, args=(name, "2"))
    mover.start()
    assert stopped.wait(60)
    with pytest.raises(Conflict, match="ada is moving the alias 'champion' of 'held up' to version 2"):
        eve.move(name, "3")
    assert eve.shown(name) == [("lab", "", "1")]
    monkeypatch.setattr(moves, "CLAIM_S", 0.0)
    eve.move(name, "3")
    # Its move comes late: MLflow cannot refuse it. It is told nevertheless.
    go_on.set()
    mover.join(60)
    assert registry.alias(name) == "2"
    assert sorted(each.to_version for each in eve.history(name)) == ["1", "2", "3"]
    assert eve.history(name) == ada.history(name)


def test_mlflow_goes_down_in_each_step(home: Home, registry: Registry, server: int) -> None:
    """MLflow's own server, behind a proxy that ends each connection."""
    with FaultProxy(server) as proxy, closed_port() as nowhere:
        far = Registry(f"http://127.0.0.1:{proxy.port}", home.path)
        with lab("ada", home.path / "down", far) as ada:
            call, down = ada.rooms.mlflow.call, ""

            async def cut(method: Any, *arguments: Any) -> Any:
                if method.__name__ == down:
                    proxy.retarget(nowhere)
                    proxy.reset()
                return await call(method, *arguments)

            ada.rooms.mlflow.call = cut  # type: ignore[method-assign, assignment]
            for down in ("read", "point", "tag"):
                name = registry.model(f"down at {down}")
                registry.client.set_registered_model_alias(name, "champion", "1")
                with pytest.raises(Unavailable, match=r"the MLflow server at .* does not answer") as caught:
                    ada.move(name, "2")
                assert caught.value.hint
                down = ""
                proxy.retarget(server)
                moved = name == "down at tag"
                assert registry.alias(name) == ("2" if moved else "1")
                assert ada.shown(name) == [*([("lab", "1", "2")] if moved else []), ("found", None, "1")]
                assert len(registry.tags(name)) == moved


def test_a_slow_mlflow_may_still_move_what_was_given_up(ada: Lab, registry: Registry) -> None:
    """Its answer came too late, and the alias moves after that."""
    name = registry.model("slow")
    ada.move(name, "1")
    call = ada.rooms.mlflow.call

    async def slow(method: Any, *arguments: Any) -> Any:
        if method.__name__ == "point":
            raise Unavailable("Cannot set the alias: the MLflow server answers too slowly.", code="slow")
        return await call(method, *arguments)

    ada.rooms.mlflow.call = slow  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(Unavailable, match="too slowly") as caught:
            ada.move(name, "2", reason="slow")
    finally:
        ada.rooms.mlflow.call = call  # type: ignore[method-assign]
    assert "genops models alias-history slow" in caught.value.hint
    with pytest.raises(Conflict, match="ada is moving the alias"):
        ada.move(name, "3")
    registry.client.set_registered_model_alias(name, "champion", "2")
    assert [(each.kind, each.reason) for each in ada.history(name)] == [("lab", "slow"), ("lab", "")]


def test_nothing_moves_while_the_disk_is_full(home: Home, registry: Registry) -> None:
    name = registry.model("full disk")
    with small_disk(home.path / "small", "2m") as disk, lab("ada", disk, registry) as ada:
        ada.move(name, "1")
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
        registry.client.set_registered_model_alias(name, "champion", "3")
        with pytest.raises(Unavailable, match=r"shared GenOps store cannot be written: .*full"):
            ada.move(name, "2", reason="x" * 1000, evidence={"x": "y" * 1900})
        assert registry.alias(name) == "3"
        assert ada.shown(name) == [("lab", "", "1")], "what is known is shown"
        filler.unlink()
        assert ada.shown(name) == [("outside", "1", "3"), ("lab", "", "1")]


def test_what_a_move_says_is_bounded(ada: Lab, registry: Registry) -> None:
    name = registry.model("bounded")
    with pytest.raises(InvalidRequest, match="The reason has 1,001 characters"):
        ada.move(name, "1", reason="x" * 1001)
    with pytest.raises(InvalidRequest, match="The evidence has 2,009 characters of JSON"):
        ada.move(name, "1", evidence={"x": "y" * 2001})
    ada.move(name, "1", reason=" a\x00b\ttab ")
    assert ada.history(name)[0].reason == "a b tab"
    registry.client.rename_registered_model(name, "renamed")
    assert [(each.model, each.reason) for each in ada.history("renamed")] == [("renamed", "a b tab")]


def test_tags_of_others_are_no_events(ada: Lab, registry: Registry) -> None:
    name = registry.model("foreign tags")
    good = {"alias": "a", "from_version": "", "to_version": "1", "kind": "lab", "at": 1_700_000_000_000}
    for key, value in {
        "x.1": "no JSON",
        "x.2": '{"alias": 1}',
        f"x.{'i' * 65}": json.dumps(good),
        "x.3": json.dumps(good | {"reason": "\0"}),
        "x.4": json.dumps(good | {"at": 4_000_000_000_000}),
        "x.5": json.dumps(good | {"at": 10**400}),
        "x.6": json.dumps(good | {"since": 1_700_000_000_001}),
        "x.7": json.dumps(good | {"reason": "a true one"}),
    }.items():
        registry.client.set_registered_model_tag(name, f"{TAG}{key}", value)
    assert [each.reason for each in ada.history(name)] == ["a true one"]


def test_mlflow_keeps_the_newest_tags(ada: Lab, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "TAGS_KEPT", 2)
    name = registry.model("many")
    for version in ("1", "2", "3", "1"):
        ada.move(name, version)
    assert len(ada.history(name)) == 4
    assert len(registry.tags(name)) == 2
    assert len(ada.history(name)) == 4
