"""Say which scorers look at the live traces of a deployment. ``genai/online`` checks them and scores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from genops_lab.core.errors import NotFound

if TYPE_CHECKING:
    from .description.document import Description


class AskedScorers(msgspec.Struct, frozen=True, kw_only=True):
    """Scorers that somebody asks for.

    - text, file: the content of their file, and how it was named.
    - folder: the absolute path of the folder of files that scorers name.
    - sample: the share of the traces. ``money_per_day``: the most that judges may cost in a day; None: no limit.
    """

    text: str
    file: str
    folder: str = ""
    sample: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    money_per_day: Annotated[float, msgspec.Meta(gt=0)] | None = None


class Scored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The scorers of a deployment's traces.

    - id: of the kept copy of their file and of the files that it names; empty before they are set.
    - file: how their file was named. ``digest`` is that of its content and of the files that it names.
    - labels: the names of the scorers. ``currency``: that of the judges' prices.
    """

    id: str = ""
    file: str
    labels: list[str] = []
    digest: str = ""
    sample: float = 1.0
    money_per_day: float | None = None
    currency: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """The scorers in words, a few for each fact: the panel shows them side by side.

        >>> Scored(file="s.yaml", labels=["polite"], digest="01234567890", sample=0.1).facts
        {'scorers': 'polite', 'files of the scorers': '01234567', 'sample of the scorers': '10 % of the traces'}
        """
        found = {"scorers": ", ".join(self.labels) or self.file, "files of the scorers": self.digest[:8]}
        found["sample of the scorers"] = f"{100 * self.sample:g} % of the traces"
        if self.money_per_day is not None:
            found["budget of the judges"] = f"{self.money_per_day:g} {self.currency}".rstrip() + " a day"
        return {what: value for what, value in found.items() if value}


@dataclass(frozen=True)
class LiveScorers:
    """The feature that scores live traces. ``check`` and ``keep`` get the name of the deployment.

    ``check`` returns scorers without an id. Raises InvalidRequest for scorers that need more than a trace has, or whose
    budget cannot be kept. ``keep`` also copies their files, and returns them with an id; ``drop`` removes the copy.
    """

    check: Callable[[str, AskedScorers], Awaitable[Scored]]
    keep: Callable[[str, AskedScorers], Awaitable[Scored]]
    drop: Callable[[str], Awaitable[None]]


def scorers_in(description: Description, folder: str) -> AskedScorers | None:
    """Return the scorers that a deployment file names, with the content of their file. Blocks. Raises NotFound."""
    asked = description.scorers
    if asked is None:
        return None
    path = Path(folder, asked.file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise NotFound(
            f"The file {path} of 'scorers' cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.",
            hint="Put it beside the deployment file, or correct scorers.file.",
        ) from None
    return AskedScorers(
        text=text, file=asked.file, folder=str(path.parent.absolute()), sample=asked.sample,
        money_per_day=asked.money_per_day,
    )  # fmt: skip
