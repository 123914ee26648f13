"""Operations: what a feature offers, declared once.

A feature's service method *is* the operation; its signature says what crosses the wire:

* a parameter that stands in the path (``/runs/{run_id}``) is a ``str``;
* a parameter named ``query`` is a msgspec Struct read from the query string;
* a parameter named ``body`` is a msgspec Struct read from the JSON body;
* the return annotation is the answer; ``AsyncIterator[Item]`` is an answer that comes item by item.

From this one declaration come the authenticated routes of the Jupyter server, the same routes on the
user's private socket, ``openapi.json`` (hence the TypeScript types), and the client that the command
line uses.

A table of operations imports its services for the type checker alone and names them as :class:`LazyService`: routes
exist when a server starts, services when they are opened.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from typing import Any, Final, Literal

import msgspec

from .errors import InvalidRequest
from .principals import PrincipalKind

Method = Literal["GET", "POST", "PUT", "DELETE"]
#: What an operation does to its resource, in the words of Jupyter's authorizers.
Action = Literal["read", "write", "execute"]
#: Who may ask for an operation: users, unless it says that kernels on other hosts may too, or they alone.
USERS, KERNELS = frozenset[PrincipalKind](["user"]), frozenset[PrincipalKind](["kernel"])
ANYONE = USERS | KERNELS

#: Where operations are served: with the version of their wire types, and without, as running kernels know them.
VERSIONED, UNVERSIONED = PREFIXES = ("/genops/v1", "/genops")

_PLACEHOLDER = re.compile(r"{(\w+)}")
_ID = re.compile(r"^[^\x00-\x1f\x7f]{1,512}$")

#: Who asked for the operation that is being done: see :class:`genops_lab.core.models.Task`.
CLIENT: Final[ContextVar[str]] = ContextVar("genops_client", default="")


class LazyService:
    """A service class that is not imported yet; its attributes stand for its methods."""

    def __init__(self, package: str, module: str, name: str) -> None:
        self._module = f"{package}.{module}"
        self.__name__ = name

    def __getattr__(self, method: str) -> LazyMethod:
        if method.startswith("_"):
            raise AttributeError(method)
        return LazyMethod(self._module, self.__name__, method)


class LazyMethod:
    """A service method that is imported when it is needed."""

    def __init__(self, module: str, service: str, name: str) -> None:
        self.__qualname__ = f"{service}.{name}"
        self._module, self._service, self._name = module, service, name

    def method(self) -> Callable[..., Any]:
        """The method itself."""
        found: Callable[..., Any] = getattr(getattr(import_module(self._module), self._service), self._name)
        return found


class Operation:
    """One verb on one path, answered by one service method.

    ``function`` is the unbound method, so that a table of operations exists without any service being built
    (for the schema and for clients); as a :class:`LazyMethod` its module is imported at the first use.

    ``action``: a GET reads and all others write, unless it is said: a POST that only asks reads, what starts a program
    executes. ``audited``: what writes or executes is, unless it is said. ``named``: fields of the answer that name what
    was made, for the audit of a path that does not. ``admits``: who may ask for it; what a kernel on another host may
    do with it stands in :mod:`genops_lab.kernel_api.authority`. ``former``: what is answered in its place where the
    path has no version, for programs that run since before the answer changed; on the private socket alone where that
    is ``socket_only``.

    >>> Operation("POST", "/run-table", Service.query_runs, action="read")  # doctest: +SKIP
    """

    def __init__(
        self,
        method: Method,
        path: str,
        function: Callable[..., Awaitable[Any] | AsyncIterator[Any]] | LazyMethod,
        *,
        action: Action | None = None,
        audited: bool | None = None,
        admits: frozenset[PrincipalKind] = USERS,
        socket_only: bool = False,
        named: tuple[str, ...] = (),
        former: Operation | None = None,
        feature: str = "",
        resource: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.action: Action = action or ("read" if method == "GET" else "write")
        self.audited = audited if audited is not None else self.action != "read"
        self.admits, self.socket_only = admits, socket_only
        self.named = named
        self.feature, self.resource = feature, resource
        self.former = former.of(feature, resource) if former is not None else None
        self._declared = function
        self.service, self.name = function.__qualname__.split(".")[-2:]
        self.path_parameters: list[str] = _PLACEHOLDER.findall(path)

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The service method."""
        return self._declared.method() if isinstance(self._declared, LazyMethod) else self._declared

    def of(self, feature: str, resource: str) -> Operation:
        """The same as one of a feature's, on its resource."""
        return type(self)(
            self.method, self.path, self._declared,
            action=self.action, audited=self.audited, admits=self.admits, socket_only=self.socket_only,
            named=self.named, former=self.former, feature=feature, resource=resource,
        )  # fmt: skip

    def at(self, prefix: str, *, socket: bool) -> Operation:
        """What is answered below ``prefix`` (one of :data:`PREFIXES`): by the private socket, or else to a browser."""
        former = self.former if prefix == UNVERSIONED else None
        return self if former is None or (former.socket_only and not socket) else former

    @property
    def id(self) -> str:
        """Unique across features: ``experiments.list_runs``."""
        return f"{self.feature}.{self.name}"

    @property
    def summary(self) -> str:
        """The first paragraph of its documentation."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.function)

    @property
    def query(self) -> type[msgspec.Struct] | None:
        """The Struct read from the query string, if any."""
        return self._hints.get("query")

    @property
    def body(self) -> type[msgspec.Struct] | None:
        """The Struct read from the JSON body, if any."""
        return self._hints.get("body")

    @property
    def answer(self) -> Any:
        """The type of what is returned (``None`` for an empty 204); of each item, where they are streamed."""
        hint = self._hints["return"]
        if self.streams:
            (hint,) = typing.get_args(hint)
        return None if hint is type(None) else hint

    @cached_property
    def streams(self) -> bool:
        """Whether the answer comes in items, one JSON document a line, as the method yields them."""
        return typing.get_origin(self._hints["return"]) is AsyncIterator

    @property
    def pattern(self) -> str:
        """The path as a regular expression; ids may hold any character but a slash, percent-encoded."""
        return _PLACEHOLDER.sub(r"([^/]+)", self.path)

    def arguments(
        self, path_values: Sequence[str], query: dict[str, str], body: bytes, *, keep_query: bool = True
    ) -> dict[str, Any]:
        """Checked keyword arguments for the service method. Raises InvalidRequest, naming the field."""
        arguments: dict[str, Any] = {}
        for name, value in zip(self.path_parameters, path_values, strict=True):
            if not _ID.match(value):
                raise InvalidRequest(
                    f"{name} must be 1 to 512 printable characters.", hint="Check the name or id."
                )
            arguments[name] = value
        try:
            if self.query is not None and keep_query:
                arguments["query"] = msgspec.convert(query, self.query, strict=False)
            if self.body is not None:
                arguments["body"] = msgspec.json.decode(body or b"{}", type=self.body)
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                f"{self.method} {self.path}: {error}.", hint="Correct the named field and send it again."
            ) from error
        except msgspec.DecodeError as error:
            raise InvalidRequest("The request's body is not valid JSON.", hint=str(error)) from error
        except RecursionError as error:
            raise InvalidRequest("The request's body is nested too deeply.", hint="Send less.") from error
        return arguments

    async def call(self, service: Any, arguments: dict[str, Any]) -> Any:
        """Run the service method with checked arguments; of one that streams, its iterator."""
        found = self.function(service, **arguments)
        return found if self.streams else await found
