"""Keep which traces wait for which scorer, which have a score, and what judges cost, in a file of SQLite.

MLflow has the scores themselves, as assessments. This file is what a restart needs to score nothing twice and lose
nothing: a trace is in ``waiting`` until its assessment is in MLflow. A call that is a span of its application's trace
is kept as both ids (``traces/answered.call_parts``).
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from genops_lab.core.errors import Unavailable
from genops_lab.core.paths import private_dir

_TABLES = """
CREATE TABLE IF NOT EXISTS scoring (
    deployment TEXT PRIMARY KEY, id TEXT NOT NULL, created_at REAL NOT NULL, since REAL NOT NULL,
    config TEXT NOT NULL, paused INTEGER NOT NULL, seen INTEGER NOT NULL, sampled INTEGER NOT NULL,
    used_day TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS seen (scoring TEXT, trace TEXT, at REAL, PRIMARY KEY (scoring, trace)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT, scoring TEXT NOT NULL, scorer TEXT NOT NULL, trace TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting_of ON waiting (scoring, scorer, number);
CREATE TABLE IF NOT EXISTS score (
    scoring TEXT, scorer TEXT, trace TEXT, state TEXT NOT NULL, value REAL, reason TEXT NOT NULL,
    PRIMARY KEY (scoring, scorer, trace)
);
CREATE TABLE IF NOT EXISTS batch (
    scoring TEXT, scorer TEXT, number INTEGER, problem TEXT, PRIMARY KEY (scoring, scorer)
);
CREATE TABLE IF NOT EXISTS cost (
    deployment TEXT NOT NULL, day TEXT NOT NULL, scoring TEXT, scorer TEXT, batch INTEGER, tokens INTEGER NOT NULL,
    money REAL, PRIMARY KEY (scoring, scorer, batch)
);
CREATE INDEX IF NOT EXISTS cost_of_day ON cost (deployment, day);
"""
#: A gateway may deliver a trace again within an hour after JupyterLab ended.
_REMEMBERED_S = 2 * 86400.0
_NEWEST, _REASONS = 20_000, 5
Outcome = Literal["scored", "not_scored", "left_out"]


class KnownScorer(msgspec.Struct, frozen=True, kw_only=True):
    """A scorer of a file. ``judge``: the name of the model that it asks; ``source``: MLflow's kind and id of it.

    ``documents``: it needs what was retrieved for the answer.
    """

    label: str
    judge: str = ""
    documents: bool = False
    source: tuple[str, str]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a person. ``text``: the file with the scorers."""

    text: str
    scorers: list[KnownScorer]
    sample: float
    money_per_day: float | None = None
    currency: str = ""


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """The scorers of a deployment that began at ``created_at``. ``used_day``: the day whose budget is used."""

    deployment: str
    id: str
    created_at: float
    since: float
    config: Config
    paused: bool = False
    seen: int = 0
    sampled: int = 0
    used_day: str = ""


class TraceScore(msgspec.Struct, frozen=True, kw_only=True):
    """The score of a trace. ``value`` None: not scored, and ``reason`` says why."""

    trace: str
    value: float | None
    reason: str = ""


class Counted(NamedTuple):
    """The counts of one scorer. ``values``: the newest scores, in their order."""

    states: dict[str, int]
    reasons: dict[str, int]
    values: list[float]
    waiting: int
    tokens: int
    money: float | None
    problem: str


def in_sample(trace: str, share: float) -> bool:
    """Return whether a trace is in a sample. Its id decides: a smaller sample is a part of each larger one.

    >>> sum(in_sample(f"tr-{at}", 0.1) for at in range(10_000))
    1021
    """
    drawn = int.from_bytes(hashlib.sha256(trace.encode()).digest()[:8], "big")
    return drawn < share * 2**64


def day_of(at: float) -> str:
    """Return the day of a time, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


class OnlineStore:
    """The file. All methods block; each is one transaction. Raises Unavailable for a full disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, scoring: Scoring) -> None:
        """Begin to score, in place of what the deployment had before. The costs of today stay.

        Scorers that began already, such as in another process, go on.
        """
        with self._changed() as file:
            began = "SELECT 1 FROM scoring WHERE id = ? AND created_at = ?"
            if file.execute(began, (scoring.id, scoring.created_at)).fetchone():
                return
            self._forget(file, scoring.deployment)
            file.execute(
                "INSERT INTO scoring VALUES (?, ?, ?, ?, ?, 0, 0, 0, ?)",
                (
                    scoring.deployment, scoring.id, scoring.created_at, scoring.since,
                    msgspec.json.encode(scoring.config).decode(), scoring.used_day,
                ),
            )  # fmt: skip

    def forget(self, deployment: str) -> None:
        """Forget the scorers of a deployment; idempotent."""
        with self._changed() as file:
            self._forget(file, deployment)

    def pause(self, deployment: str, paused: bool) -> None:
        """Score nothing until it is resumed, or go on."""
        with self._changed() as file:
            file.execute("UPDATE scoring SET paused = ? WHERE deployment = ?", (int(paused), deployment))

    def all(self) -> list[Scoring]:
        """Return the scorers of all deployments."""
        if not self._path.exists():
            return []
        with self._changed() as file:
            return [_scoring(row) for row in file.execute("SELECT * FROM scoring ORDER BY deployment")]

    def get(self, deployment: str) -> Scoring | None:
        """Return the scorers of a deployment, or None."""
        return next((each for each in self.all() if each.deployment == deployment), None)

    def add(self, deployment: str, created_at: float, traces: Sequence[str]) -> None:
        """Note that traces landed, and let those in the sample wait; those that are known change nothing."""
        found = self.get(deployment)
        if found is None or found.created_at != created_at or not traces:
            return
        now = time.time()
        with self._changed() as file:
            file.execute("DELETE FROM seen WHERE at < ?", (now - _REMEMBERED_S,))
            new = [
                each
                for each in traces
                if file.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (found.id, each, now)).rowcount
            ]
            chosen = [each for each in new if in_sample(each, found.config.sample)]
            file.executemany(
                "INSERT INTO waiting (scoring, scorer, trace) VALUES (?, ?, ?)",
                [(found.id, scorer.label, each) for each in chosen for scorer in found.config.scorers],
            )
            file.execute(
                "UPDATE scoring SET seen = seen + ?, sampled = sampled + ? WHERE id = ?",
                (len(new), len(chosen), found.id),
            )

    def waiting(self, scoring: str, scorer: str, most: int) -> tuple[int, list[str]]:
        """Return the number of the next batch and its traces, in the order of their landing.

        The batch is the same until it is marked, so that a journal of its calls fits after a crash.
        """
        with self._changed() as file:
            batch = file.execute(
                "SELECT number FROM batch WHERE scoring = ? AND scorer = ?", (scoring, scorer)
            ).fetchone()
            rows = file.execute(
                "SELECT trace FROM waiting WHERE scoring = ? AND scorer = ? ORDER BY number LIMIT ?",
                (scoring, scorer, most),
            )
            return (batch[0] if batch else 1), [row[0] for row in rows]

    def charge(
        self, found: Scoring, scorer: str, batch: int, day: str, tokens: int, money: float | None
    ) -> None:  # fmt: skip
        """Keep what a batch cost so far, in place of what was kept of it before."""
        if tokens:
            with self._changed() as file:
                file.execute(
                    "INSERT OR REPLACE INTO cost VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (found.deployment, day, found.id, scorer, batch, tokens, money),
                )

    def mark(
        self,
        found: Scoring,
        scorer: str,
        scores: Iterable[TraceScore],
        left_out: Iterable[str] = (),
        used_day: str = "",
    ) -> None:
        """End a batch: its assessments are in MLflow, or its traces are left out. Scorers that are gone get nothing."""
        rows: list[tuple[str, Outcome, float | None, str]] = [
            (each.trace, "scored", each.value, "")
            if each.value is not None
            else (each.trace, "not_scored", None, each.reason[:500])
            for each in scores
        ]
        rows += [(trace, "left_out", None, "") for trace in left_out]
        with self._changed() as file:
            if not file.execute("SELECT 1 FROM scoring WHERE id = ?", (found.id,)).fetchone():
                return
            for row in rows:
                file.execute(
                    "INSERT OR IGNORE INTO score VALUES (?, ?, ?, ?, ?, ?)", (found.id, scorer, *row)
                )
                file.execute(
                    "DELETE FROM waiting WHERE scoring = ? AND scorer = ? AND trace = ?",
                    (found.id, scorer, row[0]),
                )
            if used_day:
                file.execute("UPDATE scoring SET used_day = ? WHERE id = ?", (used_day, found.id))
            file.execute(
                "INSERT INTO batch VALUES (?, ?, 2, '') "
                "ON CONFLICT DO UPDATE SET number = number + 1, problem = ''",
                (found.id, scorer),
            )

    def leave_out(self, found: Scoring, scorer: str) -> None:
        """Leave out all traces that wait for a judge: the budget of the day is used."""
        with self._changed() as file:
            file.execute(
                "INSERT OR IGNORE INTO score SELECT scoring, scorer, trace, 'left_out', NULL, '' FROM waiting "
                "WHERE scoring = ? AND scorer = ?",
                (found.id, scorer),
            )
            file.execute("DELETE FROM waiting WHERE scoring = ? AND scorer = ?", (found.id, scorer))

    def tell(self, scoring: str, scorer: str, problem: str) -> None:
        """Keep why traces wait for a scorer; the batch goes on later."""
        with self._changed() as file:
            file.execute(
                "INSERT INTO batch VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET problem = excluded.problem",
                (scoring, scorer, problem),
            )

    def money_of_day(
        self, deployment: str, day: str, but: tuple[str, str, int] = ("", "", 0)
    ) -> float | None:  # fmt: skip
        """Return what the judges of a deployment cost in a day, those of before too; None without a price.

        ``but``: a batch that is not counted, by scoring, scorer and number.
        """
        with self._changed() as file:
            row = file.execute(
                "SELECT sum(money) FROM cost WHERE deployment = ? AND day = ? "
                "AND NOT (scoring = ? AND scorer = ? AND batch = ?)",
                (deployment, day, *but),
            ).fetchone()
            return None if row[0] is None else float(row[0])

    def counted(self, found: Scoring) -> dict[str, Counted]:
        """Return the counts of each scorer."""
        counts = {}
        with self._changed() as file:
            for scorer in found.config.scorers:
                of = (found.id, scorer.label)
                states = file.execute(
                    "SELECT state, count(*) FROM score WHERE scoring = ? AND scorer = ? GROUP BY state", of
                )
                reasons = file.execute(
                    "SELECT reason, count(*) AS times FROM score WHERE scoring = ? AND scorer = ? "
                    "AND state = 'not_scored' GROUP BY reason ORDER BY times DESC, reason LIMIT ?",
                    (*of, _REASONS),
                )
                newest = file.execute(
                    "SELECT value FROM score WHERE scoring = ? AND scorer = ? AND state = 'scored' "
                    "ORDER BY rowid DESC LIMIT ?",
                    (*of, _NEWEST),
                )
                waiting = file.execute(
                    "SELECT count(*) FROM waiting WHERE scoring = ? AND scorer = ?", of
                ).fetchone()
                cost = file.execute(
                    "SELECT sum(tokens), sum(money) FROM cost WHERE scoring = ? AND scorer = ?", of
                ).fetchone()
                batch = file.execute(
                    "SELECT problem FROM batch WHERE scoring = ? AND scorer = ?", of
                ).fetchone()
                counts[scorer.label] = Counted(
                    dict(states), dict(reasons), [row[0] for row in newest][::-1], waiting[0],
                    cost[0] or 0, cost[1], batch[0] if batch else "",
                )  # fmt: skip
        return counts

    def _forget(self, file: sqlite3.Connection, deployment: str) -> None:
        for (id,) in file.execute("SELECT id FROM scoring WHERE deployment = ?", (deployment,)).fetchall():
            file.execute("DELETE FROM seen WHERE scoring = ?", (id,))
            file.execute("DELETE FROM waiting WHERE scoring = ?", (id,))
            file.execute("DELETE FROM score WHERE scoring = ?", (id,))
            file.execute("DELETE FROM batch WHERE scoring = ?", (id,))
        file.execute("DELETE FROM scoring WHERE deployment = ?", (deployment,))

    @contextlib.contextmanager
    def _changed(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction. Its journal works on network file systems too."""
        try:
            private_dir(self._path.parent)
            with contextlib.closing(sqlite3.connect(self._path, timeout=15, isolation_level=None)) as file:
                if not file.execute("SELECT count(*) FROM sqlite_master WHERE name = 'cost'").fetchone()[0]:
                    file.executescript(_TABLES)
                    self._path.chmod(0o600)
                file.execute("BEGIN IMMEDIATE")
                yield file
                file.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"The scores of live traces cannot be kept in {self._path.name}: {error}.",
                hint="Free some disk space. Traces wait, and are scored later.",
            ) from error


def _scoring(row: Sequence[object]) -> Scoring:
    deployment, id, created_at, since, config, paused, seen, sampled, used_day = row
    return msgspec.convert(
        {
            "deployment": deployment, "id": id, "created_at": created_at, "since": since,
            "config": msgspec.json.decode(str(config)), "paused": bool(paused), "seen": seen, "sampled": sampled,
            "used_day": used_day,
        },
        Scoring,
    )  # fmt: skip
