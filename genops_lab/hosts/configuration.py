"""The configuration of a target: one Struct per kind, whose annotations define its form and checks."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from ..core.errors import InvalidRequest

_ADMINISTERED = ("default", "minimum", "maximum", "choices", "locked")
Widget = Literal["text", "number", "choice", "switch"]


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a target's form.

    ``pattern`` must match the whole text. The form hides ``advanced`` fields at first. A ``locked`` field has
    the administrator's value. ``administered`` names the other limits that the administrator set.
    """

    name: str
    label: str
    help: str = ""
    widget: Widget = "text"
    default: Any = None
    required: bool = False
    advanced: bool = False
    locked: bool = False
    administered: list[Literal["default", "minimum", "maximum", "choices", "locked"]] = []
    choices: list[str] = []
    #: labels of the choices
    choice_labels: dict[str, str] = {}
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    #: the noun (``a port``) and the hint of errors about a value
    noun: str = ""
    hint: str = ""


def option(
    label: str,
    help: str = "",
    *,
    noun: str = "",
    hint: str = "",
    required: bool = False,
    advanced: bool = False,
    pattern: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choice_labels: Mapping[str, str] | None = None,
) -> msgspec.Meta:
    """Describe a field of a configuration: ``port: Annotated[int, option("Port", maximum=65535)] = 0``.

    The dialog shows ``label`` and ``help``. An invalid value is refused as "... is not ``noun``." with
    ``hint``, or with ``help`` where ``hint`` is empty. ``pattern`` must match the whole text. The dialog
    hides ``advanced`` fields at first. ``choice_labels`` has the labels of a ``Literal``'s values.
    """
    more = {
        "noun": noun, "hint": hint, "required": required, "advanced": advanced, "pattern": pattern,
        "minimum": minimum, "maximum": maximum, "choice_labels": dict(choice_labels or {}),
    }  # fmt: skip
    return msgspec.Meta(title=label, description=help or None, extra=more)


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that all kinds of targets have; each kind adds its own.

    ``python`` is the interpreter on the host: a name on the PATH, or a path, which may begin with ``~/``.
    """

    python: Annotated[
        str,
        option(
            "Python on the host",
            "The interpreter for kernels on the host, with ipykernel: a name or a path such as "
            "~/venv/bin/python.",
            required=True,
            pattern=r"[^\x00-\x1f\x7f]+",
            noun="an interpreter",
            hint="Give a name such as python3, or a path.",
        ),
    ] = "python3"


@functools.cache
def form_of(config_type: type[HostConfig]) -> list[FormField]:
    """Return the fields that a configuration declares with :func:`option`: required ones first, then a kind's own."""
    info = msgspec.inspect.type_info(config_type)
    assert isinstance(info, msgspec.inspect.StructType)
    own = set(config_type.__annotations__)  # a kind's own fields come before those of all kinds
    common = set(HostConfig.__annotations__)
    found = [field for each in info.fields if (field := _form_field(each)) is not None]
    return sorted(
        found,
        key=lambda each: (not each.required or each.name in common, each.name not in own),
    )


def limited(fields: Sequence[FormField], limits: Mapping[str, Mapping[str, Any]]) -> list[FormField]:
    """Return the fields with the administrator's ``default``, ``minimum``, ``maximum``, ``choices`` and
    ``locked``, by name."""

    def with_its(field: FormField) -> FormField:
        own = limits.get(field.name, {})
        parts = [name for name in _ADMINISTERED if name in own]
        return msgspec.structs.replace(field, **own, administered=parts)

    return [with_its(field) for field in fields]


def check(config: HostConfig, fields: Sequence[FormField] | None = None) -> None:
    """Raise InvalidRequest for a value that its field does not allow."""
    for field in form_of(type(config)) if fields is None else fields:
        check_field(field, getattr(config, field.name))


def check_field(field: FormField, value: Any) -> None:
    """Raise InvalidRequest for a value that the field does not allow."""
    if field.locked and value != field.default:
        raise InvalidRequest(
            f"The administrator has set {field.label} to {field.default}.",
            hint="Leave the field out, or give this value.",
        )
    _check(field, value)


def _form_field(field: msgspec.inspect.Field) -> FormField | None:
    declared = field.type
    if not isinstance(declared, msgspec.inspect.Metadata):
        return None
    words, kind = declared.extra_json_schema or {}, declared.type
    widget: Widget = "text"
    choices: list[str] = []
    if isinstance(kind, msgspec.inspect.LiteralType):
        widget, choices = "choice", [str(each) for each in kind.values]
    elif isinstance(kind, msgspec.inspect.BoolType):
        widget = "switch"
    elif isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        widget = "number"
    return FormField(
        name=field.encode_name,
        label=words.get("title", field.name),
        help=words.get("description", ""),
        widget=widget,
        default=None if field.default is msgspec.NODEFAULT else field.default,
        choices=choices,
        **(declared.extra or {}),
    )


def _check(field: FormField, value: Any) -> None:
    given = value.strip() if isinstance(value, str) else value
    if field.required and given in ("", None):
        raise InvalidRequest(f"{field.label} is missing.", hint=field.hint or field.help)
    wrong = (
        (field.pattern and given and not re.fullmatch(field.pattern, value))
        or (isinstance(given, int | float) and not _within(field, given))
        or (field.choices and given not in field.choices)
    )
    if wrong:
        noun = field.noun or f"a valid value of {field.label}"
        raise InvalidRequest(f"{value!r} is not {noun}.", hint=field.hint or field.help)


def _within(field: FormField, value: float) -> bool:
    low = field.minimum is None or value >= field.minimum
    return low and (field.maximum is None or value <= field.maximum)
