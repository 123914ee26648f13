"""Say what an evaluation needs on a host, and take over what the host has asked and scored. All methods block."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from genops_lab.core.errors import Failed
from genops_lab.core.paths import private_dir
from genops_lab.genai.scorers.base import Judge
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.scorers.programs import Code, Embeddings, Function, JsonSchema, Mlflow, Rouge, Sacrebleu
from genops_lab.genai.scorers.rules import Given

from .evaluation_file import Evaluation, EvaluationFileError, read_scorers
from .harnesses import PACKAGES as HARNESSES
from .journal import Call, Key, read
from .models import AnswerEvaluation
from .process import AnswersProcess, all_scorers, on_disk
from .results_folder import ResultsFolder, find_folder

#: What the stages import, as pyproject.toml has it: to ask, to stop when the answer is known, and for some scorers.
ASKING = ("aiohttp>=3.10,<4", "msgspec>=0.18.6", "pyyaml>=6")
STOPPING = ("numpy>=1.24", "scipy>=1.10")
SANDBOX = ("psutil>=5.9",)
SCHEMAS = ("jsonschema", "referencing")
LITELLM = "litellm>=1.80,<2"
_OF_SCORERS: dict[type, tuple[str, ...]] = {
    Code: SANDBOX, Function: SANDBOX, JsonSchema: SCHEMAS,
    Sacrebleu: ("sacrebleu>=2.4",), Rouge: ("rouge-score>=0.1.2",),
}  # fmt: skip
_OLDEST_PYTHON = (3, 10)
_STATE, _ADDED, _HARNESS = "state.json", "added.json", "harness"


class HostNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """The needs of an evaluation on a host. ``results``: the files that the stages write there, which come back.

    ``folders``: those of which all files come back: nobody knows the names of a harness's logs and scores before.
    ``python``: the version for an environment, where the host's own is older than ``oldest``.
    """

    lines: list[str]
    results: list[str]
    folders: list[str]
    python: str
    oldest: tuple[int, int] = _OLDEST_PYTHON


class HostResults(AnswersProcess):
    """Names and takes what travels between this machine and a host."""

    def needs(self, id: str, litellm: bool) -> HostNeeds:
        """Return what an evaluation needs on a host. ``litellm``: it asks models through LiteLLM. Raises NotFound."""
        folder = find_folder(self._root, id)
        file = self._file(folder)
        scorers, _judges = all_scorers(folder, file)
        return HostNeeds(
            lines=list(dict.fromkeys(_lines(file, scorers, litellm))),
            results=list(_results(folder, file, scorers)),
            folders=[_HARNESS, "scores"] if file.harness else [],
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        )  # fmt: skip

    def take(self, id: str, came: str) -> AnswerEvaluation:
        """Move results that came from a host into the folder. Raises Failed, Conflict: then the folder is as it was.

        A host is not trusted: all files are read first, and no answer that is here may be missing there.
        """
        folder, there = find_folder(self._root, id), Path(came)
        with self._alone(folder), on_disk(f"Free some space, then: genops evaluate resume {id}"):
            state, file, came_there = folder.state(), self._file(folder), ResultsFolder(there)
            scorers, _judges = all_scorers(folder, file)
            added = _given_there(came_there, folder.added(), state) if file.harness else {}
            scorers += added.values()
            wanted = [*_results(folder, file, scorers)]
            if file.harness:
                wanted += _paths(there, _HARNESS)
            files = [name for name in wanted if (there / name).is_file()]
            found = _read(came_there, state, scorers)
            if _STATE not in files:
                return state
            for name in ["calls.jsonl", *_relayed(folder.path)]:
                missing = _answered(read(folder.path / name)) - _answered(read(there / name))
                if missing:
                    raise _invalid(state, f"{len(missing):,} answers that were asked for before are missing")
            for name in files:
                if name not in (_STATE, _ADDED):
                    private_dir((folder.path / name).parent)
                    (there / name).replace(folder.path / name)
            state = msgspec.structs.replace(
                state, models=found.models, notes=found.notes, stage=found.stage, unfinished=found.unfinished
            )
            if file.harness:
                folder.keep_added([*folder.added(), *added])
                state = msgspec.structs.replace(
                    state, rows=len(folder.rows()), scorers=[each.label for each in scorers]
                )
            folder.keep_state(state)
        return state


def _lines(file: Evaluation, scorers: Sequence[Scorer], litellm: bool) -> Iterator[str]:
    yield from ASKING
    if file.stop_when_known:
        yield from STOPPING
    if file.tools:
        yield from (*SCHEMAS, *SANDBOX)
    if litellm:
        yield LITELLM
    yield from file.packages
    if file.harness and not file.harness.python:
        yield from HARNESSES[file.harness.kind]
    for scorer in scorers:
        yield from _OF_SCORERS.get(type(scorer), ())
        if isinstance(scorer, Embeddings) and not scorer.endpoint:
            yield "sentence-transformers>=3"


def _results(folder: ResultsFolder, file: Evaluation, scorers: Sequence[Scorer]) -> Iterator[str]:
    """Yield the files of a folder that the stages write, by their path in it."""
    yield from (_STATE, "calls.jsonl", "turns.jsonl", "model-checks.json")
    if file.harness:
        yield from ("rows.jsonl", _ADDED)
    for each in scorers:
        if isinstance(each, Mlflow):  # the Lab scores by it
            continue
        if isinstance(each, Judge | Embeddings):
            yield folder.judge_calls(each.label).relative_to(folder.path).as_posix()
        yield folder.scores_path(each.label).relative_to(folder.path).as_posix()


def _paths(folder: Path, name: str) -> list[str]:
    """Return the paths of the files below ``name`` of a folder."""
    return [each.relative_to(folder).as_posix() for each in (folder / name).rglob("*") if each.is_file()]


def _relayed(folder: Path) -> list[str]:
    """Return the paths of the journals of what a harness asked for."""
    return [f"{_HARNESS}/{each.name}" for each in (folder / _HARNESS).glob("*.calls.jsonl")]


def _given_there(there: ResultsFolder, here: list[str], state: AnswerEvaluation) -> dict[str, Scorer]:
    """Return the scorers of a harness that a host added, by their texts. Raises Failed for any other scorer."""
    found: dict[str, Scorer] = {}
    try:
        for text in there.added():
            if text not in here:
                added = read_scorers(text)
                (found[text],) = added.scorers
                if added.judges or not isinstance(found[text], Given):
                    raise ValueError("a scorer is not that of a harness")
    except (msgspec.MsgspecError, EvaluationFileError, ValueError) as error:
        raise _invalid(state, str(error).rstrip(".")) from None
    return found


def _read(there: ResultsFolder, state: AnswerEvaluation, scorers: Sequence[Scorer]) -> AnswerEvaluation:
    """Read all results that came, and return the state. Raises Failed."""
    try:
        journals = [there.path / name for name in _relayed(there.path)]
        for path in (
            there.calls,
            there.turns,
            *journals,
            *(there.judge_calls(each.label) for each in scorers),
        ):
            read(path)
        if (there.path / "rows.jsonl").is_file():
            there.rows()
        for each in scorers:
            there.scores(each.label)
        found = there.state() if (there.path / _STATE).is_file() else state
    except msgspec.MsgspecError as error:
        raise _invalid(state, str(error)) from None
    if [each.model for each in found.models] != [each.model for each in state.models]:
        raise _invalid(state, "they are of other models")
    return found


def _answered(calls: dict[Key, Call]) -> set[Key]:
    return {key for key, call in calls.items() if call.answer is not None}


def _invalid(state: AnswerEvaluation, why: str) -> Failed:
    return Failed(
        f"{state.target} sent invalid results: {why}.",
        hint=f"Nothing was changed here. Try again: genops evaluate resume {state.id}",
        code="invalid_results",
    )
