"""Declare the operations of features.

An operation is a method of a feature's service. The method's signature defines the wire types:

* a parameter of the path (``/runs/{run_id}``) is a ``str``;
* a parameter named ``query`` is a msgspec Struct from the query string;
* a parameter named ``body`` is a msgspec Struct from the JSON body;
* the return annotation is the answer; ``AsyncIterator[Item]`` is a streamed answer.

The routes of the Jupyter server and of the private socket, ``openapi.json``, the TypeScript types and the client of the
command line are all made from this declaration.

A table of operations imports its services only for the type checker and otherwise names them as :class:`LazyService`:
routes exist when a server starts, services when they are opened.
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

from .errors import InvalidRequest, NotAllowed
from .principals import PrincipalKind

Method = Literal["GET", "POST", "PUT", "DELETE"]
#: Action of an operation on its resource, as in Jupyter's authorizers.
Action = Literal["read", "write", "execute"]
#: Principals that an operation admits: users (the default), kernels on other hosts, or both.
USERS, KERNELS = frozenset[PrincipalKind](["user"]), frozenset[PrincipalKind](["kernel"])
ANYONE = USERS | KERNELS

#: Prefixes of the paths: with the version of the wire types, and without for kernels that older versions started.
VERSIONED, UNVERSIONED = PREFIXES = ("/genops/v1", "/genops")

_PLACEHOLDER = re.compile(r"{(\w+)}")
_ID = re.compile(r"^[^\x00-\x1f\x7f]{1,512}$")

#: The client of the running operation: see :class:`genops_lab.core.models.Task`.
CLIENT: Final[ContextVar[str]] = ContextVar("genops_client", default="")

#: Checks another right of the caller of the running operation. None: all is allowed, as on the private socket.
ALSO_ALLOWED: Final[ContextVar[Callable[[Action, str], Awaitable[bool]] | None]] = ContextVar(
    "genops_also_allowed", default=None
)


async def require(action: Action, resource: str, why: str) -> None:
    """Check that the caller of the running operation has another right, which the arguments need. Raises NotAllowed.

    ``why``: a clause that says what needs the right, such as "The rows are texts of traces".
    """
    allowed = ALSO_ALLOWED.get()
    if allowed is not None and not await allowed(action, resource):
        raise NotAllowed(
            f"{why}, and this user may not {action} genops:{resource}.",
            hint="Ask the administrator of this server for the permission.",
        )


class LazyService:
    """A service class that is imported at its first use. Its attributes are :class:`LazyMethod` objects."""

    def __init__(self, package: str, module: str, name: str) -> None:
        self._module = f"{package}.{module}"
        self.__name__ = name

    def __getattr__(self, method: str) -> LazyMethod:
        if method.startswith("_"):
            raise AttributeError(method)
        return LazyMethod(self._module, self.__name__, method)


class LazyMethod:
    """A service method that is imported at its first use."""

    def __init__(self, module: str, service: str, name: str) -> None:
        self.__qualname__ = f"{service}.{name}"
        self._module, self._service, self._name = module, service, name

    def method(self) -> Callable[..., Any]:
        """Import and return the method."""
        found: Callable[..., Any] = getattr(getattr(import_module(self._module), self._service), self._name)
        return found


class Operation:
    """One verb on one path, answered by one service method.

    ``function`` is the unbound method or a :class:`LazyMethod`, so a table of operations needs no service.

    ``action`` defaults to read for GET and write for other verbs. Set it to read for a POST that changes nothing, and
    to execute for an operation that starts a program. ``audited`` defaults to true for write and execute. ``named``:
    fields of the answer with the name of the new object, for the audit. ``interruptible``: it is cancelled when its
    client disconnects, such as by Ctrl+C. ``admits``: principals that may call it;
    :mod:`genops_lab.kernel_api.authority` bounds the calls of kernels on other hosts. ``former``: the operation in its
    place on the path without a version, for programs that older versions started; with ``socket_only`` only on the
    private socket.

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
        interruptible: bool = False,
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
        self.interruptible = interruptible
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
        """Return the same operation with its feature and resource."""
        return type(self)(
            self.method, self.path, self._declared,
            action=self.action, audited=self.audited, admits=self.admits, socket_only=self.socket_only,
            named=self.named, interruptible=self.interruptible, former=self.former, feature=feature, resource=resource,
        )  # fmt: skip

    def at(self, prefix: str, *, socket: bool) -> Operation:
        """Return the operation below ``prefix`` (one of :data:`PREFIXES`) on the private socket or Jupyter server."""
        former = self.former if prefix == UNVERSIONED else None
        return self if former is None or (former.socket_only and not socket) else former

    @property
    def id(self) -> str:
        """The id, unique across features: ``experiments.list_runs``."""
        return f"{self.feature}.{self.name}"

    @property
    def summary(self) -> str:
        """The first paragraph of the method's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.function)

    @property
    def query(self) -> type[msgspec.Struct] | None:
        """The Struct of the query string, or None."""
        return self._hints.get("query")

    @property
    def body(self) -> type[msgspec.Struct] | None:
        """The Struct of the JSON body, or None."""
        return self._hints.get("body")

    @property
    def answer(self) -> Any:
        """The type of the answer, or of each item of a streamed answer; None for an empty 204."""
        hint = self._hints["return"]
        if self.streams:
            (hint,) = typing.get_args(hint)
        return None if hint is type(None) else hint

    @cached_property
    def streams(self) -> bool:
        """Whether the answer is streamed: one JSON document on each line."""
        return typing.get_origin(self._hints["return"]) is AsyncIterator

    @property
    def pattern(self) -> str:
        """The path as a regular expression. Ids are percent-encoded and may have any character except a slash."""
        return _PLACEHOLDER.sub(r"([^/]+)", self.path)

    def arguments(
        self, path_values: Sequence[str], query: dict[str, str], body: bytes, *, keep_query: bool = True
    ) -> dict[str, Any]:
        """Return checked keyword arguments for the service method. Raises InvalidRequest with the field's name."""
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
                f"The request {self.method} {self.path} is invalid: {error}.", hint="Correct the named field."
            ) from error
        except msgspec.DecodeError as error:
            raise InvalidRequest(
                f"The body of the request is no valid JSON: {error}.", hint="Correct the body."
            ) from error
        except RecursionError as error:
            raise InvalidRequest(
                "The body of the request is nested too deeply.", hint="Send fewer levels."
            ) from error
        return arguments

    async def call(self, service: Any, arguments: dict[str, Any]) -> Any:
        """Run the service method with checked arguments. Return its answer, or its iterator if it streams."""
        found = self.function(service, **arguments)
        return found if self.streams else await found
