"""Return values of ``%genops`` and ``genops.deployment``: data, shown as a card without its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Dict, Iterator, Union

from .cards import deployment_card

HIDDEN = "…"
_SECRETS = ("key", "token", "password")


def without_secrets(data: Any) -> Any:
    """Return the data with its keys and tokens hidden, because saved notebooks would keep them."""
    if isinstance(data, dict):
        return {
            name: HIDDEN if name in _SECRETS and value else without_secrets(value)
            for name, value in data.items()
        }
    if isinstance(data, list):
        return [without_secrets(item) for item in data]
    return data


class _Result:
    def __init__(self, data: Any, html: str = "", text: str = "") -> None:
        self.data = data
        self._html = html
        self._text = text

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __eq__(self, other: object) -> bool:
        return bool(self.data == (other.data if isinstance(other, _Result) else other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return self._text or repr(without_secrets(self.data))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        bundle = {"text/plain": repr(self)}
        if self._html:
            bundle["text/html"] = self._html
        return bundle


class GenOpsResult(_Result, Mapping):  # type: ignore[type-arg]
    """One object: a mapping of its fields, which are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __dir__(self) -> Any:
        return [*super().__dir__(), *self.data]


class GenOpsList(_Result, Sequence):  # type: ignore[type-arg]
    """Several objects: a sequence of mappings."""


class Deployment(GenOpsResult):
    """A deployment, which answers ``predict(inputs)`` or, as a language model, ``chat(messages)``."""

    def __init__(self, data: Any, html: str = "", text: str = "") -> None:
        super().__init__(data, html or deployment_card(data), text)

    def __getitem__(self, key: Any) -> Any:
        return self.key if key == "key" else super().__getitem__(key)

    @property
    def key(self) -> str:
        """The key that requests must carry, from the Lab. Raises Refused if the deployment has ended."""
        from .serving import key_of

        return str(self.data.get("key") or key_of(self.data["name"]))

    def predict(self, inputs: Any, timeout_s: float = 60.0) -> Any:
        """Return the predictions for ``inputs``."""
        from .serving import predict

        return predict(self.data["name"], inputs, timeout_s)

    @property
    def url(self) -> str:
        """The address; that of a language model is for clients of OpenAI's API with ``/v1`` behind it."""
        return str(self.data["url"])

    def chat(self, messages: Any, *, stream: bool = False, timeout_s: float = 600.0, **options: Any) -> Any:
        """Return the answer of a language model; with ``stream`` its parts as they arrive."""
        from .chatting import chat

        return chat(self.data["name"], messages, stream, timeout_s, options)


def result_of(data: Any, html: str = "", text: str = "", view: str = "") -> Union[_Result, Any]:
    """Return the data of a command in the class that fits it."""
    if isinstance(data, dict):
        kind = Deployment if view == "deployment" and "name" in data else GenOpsResult
        return kind(data, html, text)
    if isinstance(data, list):
        return GenOpsList(data, html, text)
    return data
