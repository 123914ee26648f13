"""Keep an evaluation of answers in a folder of its own: what was asked, every call, and every score.

``evaluation.yaml`` and ``rows.jsonl`` are frozen when the evaluation begins. ``calls.jsonl`` is the journal of calls,
``scores/NAME.jsonl`` the scores by one scorer, ``state.json`` what lists show, ``report.json`` the results.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from genops_lab.core.errors import NotFound
from genops_lab.core.locks import FileLock
from genops_lab.core.paths import private_dir, write_private
from genops_lab.genai.endpoints.limits import Price

from .journal import Key, SoFar
from .models import AnswerEvaluation, ScoresReport

_ID = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,120}\Z")


class FrozenRow(msgspec.Struct, frozen=True):
    """A row of the data under its id."""

    id: str
    row: dict[str, Any]


class KeptScore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The score of an answer. ``value`` is None where the scorer cannot judge it, else the mean of ``judgements``."""

    model: str
    example: str
    repeat: int
    value: float | None
    reason: str = ""
    judgements: list[float] = []
    consistent: bool | None = None

    @property
    def key(self) -> Key:
        """Return what identifies the answer."""
        return (self.model, self.example, self.repeat)


class KeptLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The label of an answer: the mean over ``raters``, 0 the worst and 1 the best.

    ``chance``: with which its row was chosen at random; None: it was chosen for another reason, and tells nothing about
    a rate.
    """

    model: str
    example: str
    repeat: int
    value: float
    raters: int
    chance: float | None

    @property
    def key(self) -> Key:
        """Return what identifies the answer."""
        return (self.model, self.example, self.repeat)


class ResultsFolder:
    """The folder of one evaluation. All methods block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = path / "calls.jsonl"
        #: The journal of turns of conversations, and the files that the evaluation file names.
        self.turns, self.files = path / "turns.jsonl", path / "files"
        #: Pictures and PDFs of rows.
        self.attachments = path / "attachments"
        #: There while the host of a target has files of the evaluation.
        self.on_host = path / "on-host"

    @property
    def id(self) -> str:
        """Return the id of the evaluation."""
        return self.path.name

    def text(self) -> str:
        """Return the evaluation file as it was."""
        return (self.path / "evaluation.yaml").read_text(encoding="utf-8")

    def freeze(self, text: str, rows: dict[str, dict[str, Any]]) -> None:
        """Keep what is evaluated. Raises OSError."""
        private_dir(self.path / "scores")
        write_private(self.path / "evaluation.yaml", text)
        with (self.path / "rows.jsonl").open("xb") as file:
            for id, row in rows.items():
                file.write(msgspec.json.encode(FrozenRow(id, row), enc_hook=str) + b"\n")

    def keep_rows(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep rows in place of those of the beginning: a harness has its own. Raises OSError."""
        lines = [msgspec.json.encode(FrozenRow(id, dict(row)), enc_hook=str) for id, row in rows.items()]
        write_private(self.path / "rows.jsonl", b"".join(line + b"\n" for line in lines).decode())

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the rows by id, in their order."""
        decoder = msgspec.json.Decoder(FrozenRow)
        with (self.path / "rows.jsonl").open("rb") as file:
            return {each.id: each.row for each in map(decoder.decode, file)}

    def state(self) -> AnswerEvaluation:
        """Return what lists show of the evaluation."""
        return msgspec.json.decode((self.path / "state.json").read_bytes(), type=AnswerEvaluation)

    def state_now(self) -> AnswerEvaluation:
        """Return the state with the answers and the cost so far, if it is asked now or was when a process was killed.

        Calls in flight count at their most.
        """
        state = self.state()
        if state.stage != "asking":
            return state
        so_far = SoFar(self.calls)
        models = []
        for each in state.models:
            spent = so_far.spent(each.model)
            models.append(
                replace(
                    each, answered=so_far.answered[each.model], spent=spent,
                    money=each.price.of(spent) if each.price else None,
                )
            )  # fmt: skip
        return replace(state, models=models)

    def keep_prices(self, prices: Mapping[str, Price | None]) -> None:
        """Keep the prices by which the calls of the models are counted. Raises OSError."""
        state = self.state()
        models = [
            replace(each, price=price, currency=price.currency) if (price := prices.get(each.model)) else each
            for each in state.models
        ]
        self.keep_state(replace(state, models=models))

    def keep_state(self, state: AnswerEvaluation) -> None:
        """Keep what lists show. Raises OSError."""
        write_private(self.path / "state.json", msgspec.json.encode(state).decode())

    def report(self) -> ScoresReport | None:
        """Return the results; None if the answers are not scored yet."""
        try:
            return msgspec.json.decode((self.path / "report.json").read_bytes(), type=ScoresReport)
        except FileNotFoundError:
            return None

    def keep_report(self, report: ScoresReport) -> None:
        """Keep the results. Raises OSError."""
        write_private(self.path / "report.json", msgspec.json.encode(report).decode())

    def added(self) -> list[str]:
        """Return the texts of the scorers that were added later, in the order of their coming."""
        try:
            found: list[str] = msgspec.json.decode((self.path / "added.json").read_bytes())
        except FileNotFoundError:
            return []
        return found

    def keep_added(self, texts: Sequence[str]) -> None:
        """Keep the texts of all scorers that were added later. Raises OSError."""
        write_private(self.path / "added.json", msgspec.json.encode(texts).decode())

    def scores(self, name: str) -> dict[Key, KeptScore]:
        """Return the scores of a scorer by the key of their answer."""
        return {each.key: each for each in self._lines(name)}

    def _lines(self, name: str) -> Iterator[KeptScore]:
        decoder = msgspec.json.Decoder(KeptScore)
        try:
            with self.scores_path(name).open("rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):  # a crash cut it; its answer is scored again
                        return
                    yield decoder.decode(line)
        except FileNotFoundError:
            return

    def keep_scores(self, name: str, scores: Sequence[KeptScore]) -> None:
        """Keep all scores of a scorer. Raises OSError."""
        lines = b"".join(msgspec.json.encode(each) + b"\n" for each in scores)
        write_private(self.scores_path(name), lines.decode())

    def order(self) -> list[str]:
        """Return the ids of the rows in the random order in which they are asked; empty: in their own."""
        try:
            found: list[str] = msgspec.json.decode((self.path / "order.json").read_bytes())
        except FileNotFoundError:
            return []
        return found

    def keep_order(self, order: Sequence[str]) -> None:
        """Keep the order in which rows are asked. Raises OSError."""
        write_private(self.path / "order.json", msgspec.json.encode(order).decode())

    def judge_calls(self, name: str) -> Path:
        """Return the path of the journal of a judge's calls."""
        return private_dir(self.path / "judges") / f"{file_name(name)}.jsonl"

    def scores_path(self, name: str) -> Path:
        """Return the path of the scores by a scorer."""
        return self.path / "scores" / f"{file_name(name)}.jsonl"

    def lock(self) -> FileLock:
        """Return the lock of the process that writes into the folder."""
        return FileLock(self.path / "lock")


def new_id(name: str, key: str = "") -> str:
    """Return the id of a new evaluation, which begins with its name. Requests with the same ``key`` have one id."""
    if key:
        return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return f"{name}-{secrets.token_hex(4)}"


def new_folder(root: Path, name: str, key: str = "") -> ResultsFolder:
    """Make the folder of a new evaluation."""
    return ResultsFolder(private_dir(private_dir(root) / new_id(name, key)))


def find_folder(root: Path, id: str) -> ResultsFolder:
    """Return the folder of an evaluation. Raises NotFound."""
    if _ID.fullmatch(id) and (root / id / "state.json").is_file():
        return ResultsFolder(root / id)
    raise NotFound(
        f"There is no evaluation of answers {id[:150]!r}.",
        hint="See yours: genops evaluate list. Only the user who made an evaluation has its answers.",
    )


def all_folders(root: Path) -> list[ResultsFolder]:
    """Return the folders of all evaluations."""
    if not root.is_dir():
        return []
    return [ResultsFolder(each) for each in root.iterdir() if (each / "state.json").is_file()]


def file_name(name: str) -> str:
    """Return the name of a file for a scorer's name."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:100]
    if plain == name and not name.startswith("."):
        return name
    import hashlib

    return f"s{plain.lstrip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
