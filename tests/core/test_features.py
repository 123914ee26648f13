"""The feature that docs/developers/add-feature.md adds, built from its text, in an application of its own; and the
authorizer of docs/operators/permissions.md."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tornado import web

from genops_lab.app import application, features
from genops_lab.app.schema import openapi
from genops_lab.core.api import authorize
from genops_lab.core.audit import AuditLog
from genops_lab.core.client import LocalCaller
from genops_lab.core.events import EventBus, schema
from genops_lab.core.operations import Action
from genops_lab.core.settings import Settings
from genops_lab.core.store.outbox import Outbox
from tests.support.homes import Home

PAGE = Path(__file__).parents[2] / "docs" / "developers" / "add-feature.md"
PACKAGE = "notes_of_the_page"


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package's modules, ``feature`` and ``service``."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for block in re.findall(r"^   ```python\n(.*?)^   ```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        text = textwrap.dedent(block)
        if named := re.match(r"# genops_lab/notes/(\w+\.py)\n", text):
            (folder / named[1]).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield import_module(f"{PACKAGE}.feature")
    for name in [each for each in sys.modules if each.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_a_feature_is_added_as_the_page_says(notes: Any, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(application, "FEATURES", (*features.FEATURES, notes.FEATURE))
    operations = list(notes.FEATURE.operations)
    assert f"{PACKAGE}.service" not in sys.modules, "a server that starts pays for it"
    heard: list[str] = []

    async def begin() -> application.Application:
        opened = await application.Application.open(Settings(data_dir=home.data), supervise=False)
        opened.get(EventBus).listen(lambda kind, _id, _revision: heard.append(kind))
        return opened

    caller = LocalCaller(begin, operations)
    try:
        service = import_module(f"{PACKAGE}.service")
        note = service.Note("look at the loss")
        assert caller.call(service.NotesService.add_note, body=note) == note
        assert caller.call(service.NotesService.list_notes) == [note]
        lab = caller._lab
        assert lab.services.find(AuditLog) is not None and lab.get(Outbox).waiting() == 1
    finally:
        caller.close()
    assert heard == ["note"]
    kinds = [kind for each in application.FEATURES for kind in each.events]
    assert "note" in schema(kinds)["properties"]["kind"]["enum"]
    described = openapi(operations, "1")
    assert described["paths"]["/notes"]["post"]["operationId"] == "notes.add_note"
    assert msgspec.json.encode(described)


async def test_the_authorizer_of_the_operators_page_restricts_deployments_alone() -> None:
    page = PAGE.parents[1] / "operators" / "permissions.md"
    [example] = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    config = SimpleNamespace(ServerApp=SimpleNamespace())
    exec(example, {"c": config})
    authorizer = config.ServerApp.authorizer_class()

    async def admits(method: str, action: Action, resource: str) -> bool:
        request = SimpleNamespace(method=method)
        handler: Any = SimpleNamespace(current_user="ada", request=request, authorizer=authorizer)
        try:
            await authorize(handler, action, resource)
        except web.HTTPError:
            return False
        return True

    assert await admits("GET", "read", "deployments")
    assert await admits("POST", "execute", "sweeps")
    assert not await admits("POST", "execute", "deployments")
    assert not await admits("DELETE", "write", "deployments")
