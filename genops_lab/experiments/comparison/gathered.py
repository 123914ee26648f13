"""All of a run that a comparison looks at, as the backend read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from genops_lab.experiments.restoring.run_source import Kept


@dataclass(frozen=True)
class File:
    """A file among a run's artifacts."""

    size_bytes: int | None


@dataclass(frozen=True)
class Gathered:
    """One run. ``kept`` is None where it keeps no source; ``problem`` says why something could not be read."""

    run_id: str
    name: str
    experiment_id: str
    experiment: str
    status: str
    started_at: float | None = None
    ended_at: float | None = None
    user: str = ""
    source: str = ""
    git_commit: str = ""
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    kept: Kept | None = None
    patch: str = ""
    files: dict[str, File] = field(default_factory=dict)
    problem: str = ""
