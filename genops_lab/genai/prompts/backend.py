"""Read and write MLflow's prompts, in the worker process: a prompt is a registered model with a tag."""

from __future__ import annotations

import json
import shlex
from typing import Any

import msgspec

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.experiments.backends.client import (
    MlflowBackend,
    mlflow_errors,
    one_page,
    quoted,
)
from genops_lab.experiments.query.errors import did_you_mean

from .models import VARIABLE, NewPromptVersion, Prompt, PromptContent, PromptVersion, SavedPrompt, Turn

_IS_PROMPT = "mlflow.prompt.is_prompt"
_TEXT, _TYPE = "mlflow.prompt.text", "_mlflow_prompt_type"
_FORMAT, _CONFIG = "_mlflow_prompt_response_format", "_mlflow_prompt_model_config"
_ONLY_PROMPTS = f"tags.`{_IS_PROMPT}` = 'true'"
#: MLflow keeps tools with the settings of the model: it has no field of its own for them.
_TOOLS = "tools"
LATEST = "latest"


class MlflowPrompts(MlflowBackend):
    """Prompts of one MLflow."""

    def list_prompts(self, query: PageQuery) -> Page[Prompt]:
        """List prompts, last changed first. One search, whatever the number of versions."""
        with mlflow_errors("Cannot list the prompts"):
            found, token = one_page(
                self._client.search_registered_models,
                query,
                filter_string=_ONLY_PROMPTS,
                order_by=["last_updated_timestamp DESC"],
            )
            return Page(items=[_prompt(each) for each in found], next=token)

    def list_versions(self, name: str, query: PageQuery) -> Page[PromptVersion]:
        """List the versions of a prompt, newest first. Raises NotFound."""
        with mlflow_errors(f"Cannot read the versions of the prompt {name!r}"):
            aliases = _by_version(self._registered(name))
            found, token = one_page(
                self._client.search_model_versions,
                query,
                filter_string=f"name = {quoted(name)} AND {_ONLY_PROMPTS}",
                order_by=["version_number DESC"],
            )
            return Page(items=[_version(each, aliases) for each in found], next=token)

    def get_version(self, name: str, version: str) -> PromptVersion:
        """Return the version with this number or alias; the newest for "latest". Raises NotFound."""
        with mlflow_errors(f"Cannot read the prompt {name!r}"):
            registered = self._registered(name)
            return self._found(registered, version)

    def add(self, name: str, new: NewPromptVersion) -> SavedPrompt:
        """Save a version, unless the newest one has the same content. Raises Conflict for another newest one."""
        with mlflow_errors(f"Cannot save the prompt {name!r}"):
            newest = self._newest_of(name)
            if newest is not None and same(newest, new):
                return SavedPrompt(version=newest, made=False)
            seen = newest.version if newest is not None else ""
            if new.expected is not None and new.expected != seen:
                raise Conflict(
                    f"The prompt {name!r} has version {seen or 'none'} by now: you began with "
                    f"{f'version {new.expected}' if new.expected else 'a new prompt'}.",
                    hint="Compare your text with this version, then save again: yours becomes the next one.",
                    code="prompt_changed",
                    details={"version": seen},
                )
            _check(name, new)
            settings = {**new.settings, **({_TOOLS: new.tools} if new.tools else {})}
            made = self._client.register_prompt(
                name, _template(new), commit_message=new.message or None, tags=dict(new.tags),
                response_format=new.response_format, model_config=settings or None,
            )  # fmt: skip
            between = range(int(seen or 0) + 1, int(made.version))
            # All versions may have been deleted: MLflow then counts from 1 again.
            return SavedPrompt(
                version=self._found(self._registered(name), str(made.version)),
                between=[str(each) for each in between] if new.expected is not None else [],
            )

    def point(self, name: str, alias: str, version: str, expected: str | None) -> Prompt:
        """Point an alias at a version, a number or an alias. Raises NotFound, and Conflict if it was moved."""
        with mlflow_errors(f"Cannot set the alias {alias!r} of the prompt {name!r}"):
            registered = self._registered(name)
            self._check_expected(registered, alias, expected)
            number = self._found(registered, version).version
            self._client.set_prompt_alias(name, alias, int(number))
            return _prompt(self._registered(name))

    def remove_alias(self, name: str, alias: str, expected: str | None) -> Prompt:
        """Delete an alias; do nothing if the prompt does not have it. Raises NotFound and Conflict."""
        with mlflow_errors(f"Cannot delete the alias {alias!r} of the prompt {name!r}"):
            registered = self._registered(name)
            self._check_expected(registered, alias, expected)
            if alias in registered.aliases:
                self._client.delete_prompt_alias(name, alias)
            return _prompt(self._registered(name))

    def tag_version(self, name: str, version: str, key: str, text: str) -> None:
        """Set a tag of a version. Raises NotFound."""
        with mlflow_errors(f"Cannot tag version {version} of the prompt {name!r}"):
            number = self._found(self._registered(name), version).version
            self._client.set_prompt_version_tag(name, number, key, text)

    def delete_version(self, name: str, version: str) -> Prompt:
        """Delete a version, and the aliases that name it. Raises NotFound."""
        with mlflow_errors(f"Cannot delete version {version} of the prompt {name!r}"):
            registered = self._registered(name)
            number = self._found(registered, version).version
            for alias in _by_version(registered).get(number, []):
                self._client.delete_prompt_alias(name, alias)
            self._client.delete_prompt_version(name, number)
            return _prompt(self._registered(name))

    def delete_prompt(self, name: str) -> None:
        """Delete a prompt with all its versions. Raises NotFound."""
        with mlflow_errors(f"Cannot delete the prompt {name!r}"):
            self._registered(name)
            self._client.delete_prompt(name)

    def _registered(self, name: str) -> Any:
        found = self._lookup(name)
        if found is not None:
            return found
        if self._is_model(name):
            raise NotFound(
                f"{name!r} is a registered model, not a prompt.", hint="List the prompts: genops prompts list"
            )
        search = self._client.search_registered_models
        known = [each.name for each in search(filter_string=_ONLY_PROMPTS, max_results=1000)]
        raise NotFound(
            f"There is no prompt {name!r}.",
            hint=f"{did_you_mean(name, known)} List the prompts: genops prompts list".strip(),
        )

    def _lookup(self, name: str) -> Any:
        """Return MLflow's registered model that is this prompt; None without one."""
        # MLflow's get_registered_model refuses prompts, and its get_prompt leaves the aliases away.
        found = self._client.search_registered_models(
            filter_string=f"name = {quoted(name)} AND {_ONLY_PROMPTS}", max_results=1
        )
        return found[0] if found else None

    def _is_model(self, name: str) -> bool:
        return bool(self._client.search_registered_models(f"name = {quoted(name)}", max_results=1))

    def _newest_of(self, name: str) -> PromptVersion | None:
        registered = self._lookup(name)
        if registered is None and self._is_model(name):
            raise Conflict(
                f"{name!r} is the name of a registered model.", hint="Choose another name for the prompt."
            )
        return None if registered is None else self._newest(registered)

    def _newest(self, registered: Any) -> PromptVersion | None:
        found = self._client.search_model_versions(
            f"name = {quoted(registered.name)} AND {_ONLY_PROMPTS}",
            max_results=1,
            order_by=["version_number DESC"],
        )
        return _version(found[0], _by_version(registered)) if found else None

    def _found(self, registered: Any, version: str) -> PromptVersion:
        name = registered.name
        shown = f"genops prompts show {shlex.quote(name)}"
        if version in ("", LATEST):
            newest = self._newest(registered)
            if newest is None:
                raise NotFound(f"All versions of the prompt {name!r} were deleted.", hint="Save a new one.")
            return newest
        number = version if version.isdecimal() else registered.aliases.get(version)
        if number is None:
            aliases = ", ".join(sorted(registered.aliases)) or "none"
            raise NotFound(
                f"The prompt {name!r} has no alias {version!r}.", hint=f"Its aliases are: {aliases}."
            )
        found = self._client.search_model_versions(
            f"name = {quoted(name)} AND version_number = {int(number)} AND {_ONLY_PROMPTS}", max_results=1
        )
        if not found:
            raise NotFound(
                f"The prompt {name!r} has no version {number}: it was never saved, or it was deleted.",
                hint=f"List its versions: {shown}",
            )
        return _version(found[0], _by_version(registered))

    def _check_expected(self, registered: Any, alias: str, expected: str | None) -> None:
        now = str(registered.aliases.get(alias, ""))
        if expected is not None and expected != now:
            raise Conflict(
                f"The alias {alias!r} of the prompt {registered.name!r} names "
                f"{f'version {now}' if now else 'no version'}, not {f'version {expected}' if expected else 'none'}.",
                hint=f"Look at the prompt, then decide again: genops prompts show {shlex.quote(registered.name)}",
                code="alias_moved",
                details={"version": now},
            )


def same(one: PromptContent, other: PromptContent) -> bool:
    """Return whether two prompts send the same."""
    fields = ("turns", "kind", "response_format", "tools", "settings")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


def content_of(tags: dict[str, str]) -> PromptContent:
    """Return the content in the tags of a version. Raises ValueError."""
    text, kind = tags.get(_TEXT), tags.get(_TYPE, "text")
    if text is None:
        raise ValueError("it has no text")
    settings = _object(tags.get(_CONFIG), "model config") or {}
    tools = settings.pop(_TOOLS, [])
    if not isinstance(tools, list):
        raise ValueError("its tools are no list")
    turns = [Turn(role="user", content=text)]
    if kind == "chat":
        given = json.loads(text)
        if not isinstance(given, list):
            raise ValueError("its chat turns are no list")
        turns = [_turn(each) for each in given]
    return PromptContent(
        turns=turns, kind="chat" if kind == "chat" else "text", tools=tools, settings=settings,
        response_format=_object(tags.get(_FORMAT), "response format"),
    )  # fmt: skip


def _object(text: str | None, what: str) -> dict[str, Any] | None:
    found = json.loads(text) if text else None
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"its {what} is no object")
    return found


def _turn(given: Any) -> Turn:
    if not isinstance(given, dict):
        raise ValueError("a chat turn is no object")
    content = given.get("content") or ""
    if isinstance(content, list):
        return Turn(role=str(given.get("role", "")), parts=content)
    return Turn(role=str(given.get("role", "")), content=str(content))


def _check(name: str, new: NewPromptVersion) -> None:
    """Raise InvalidRequest for what MLflow refuses. MLflow itself looks after it has made the prompt."""
    import mlflow.entities.model_registry as theirs
    from pydantic import ValidationError

    checked: Any = theirs.PromptVersion

    try:
        checked(name, 1, _template(new), model_config=dict(new.settings) or None)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"]))
        raise InvalidRequest(
            f"The setting {setting!r} of the prompt is wrong: {first['msg']}.", hint="Correct the setting."
        ) from error
    except ValueError as error:
        raise InvalidRequest(
            f"MLflow refuses the turns of the prompt: {error}.",
            hint="Give each turn a role and a content: system, user or assistant.",
        ) from error


def _template(new: NewPromptVersion) -> str | list[dict[str, Any]]:
    if new.kind == "text":
        return new.turns[0].content
    return [{"role": each.role, "content": each.parts or each.content} for each in new.turns]


def _version(found: Any, aliases: dict[str, list[str]]) -> PromptVersion:
    number, tags, problem = str(found.version), dict(found.tags), ""
    try:
        content = content_of(tags)
    except (ValueError, TypeError) as error:  # another program wrote the tags
        content, problem = PromptContent(turns=[]), f"The content cannot be read: {error}."
    texts = [_texts_of(turn) for turn in content.turns]
    return PromptVersion(
        **msgspec.structs.asdict(content),
        name=found.name, version=number, message=found.description or "", problem=problem,
        variables=list(dict.fromkeys(name for text in texts for name in VARIABLE.findall(text))),
        templates=any("{%" in text for text in texts), aliases=sorted(aliases.get(number, [])),
        tags=_own(tags), created_at=(found.creation_timestamp or 0) / 1000 or None,
    )  # fmt: skip


def _texts_of(turn: Turn) -> str:
    return turn.content + (json.dumps(turn.parts) if turn.parts else "")


def _prompt(found: Any) -> Prompt:
    newest = max((int(each.version) for each in found.latest_versions or []), default=0)
    return Prompt(
        name=found.name, newest=str(newest or ""), description=found.description or "",
        aliases={alias: str(version) for alias, version in sorted(found.aliases.items())}, tags=_own(found.tags),
        updated_at=(found.last_updated_timestamp or 0) / 1000 or None,
    )  # fmt: skip


def _own(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags that people set."""
    return {key: text for key, text in tags.items() if not key.startswith(("mlflow.prompt.", "_mlflow_"))}


def _by_version(registered: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for alias, version in registered.aliases.items():
        found.setdefault(str(version), []).append(alias)
    return found
