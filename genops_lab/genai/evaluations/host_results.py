"""Say what an evaluation needs on a host, and take over what the host has asked and scored. All methods block."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from genops_lab.core.errors import Failed
from genops_lab.core.paths import private_dir
from genops_lab.genai.scorers.base import Judge
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.scorers.programs import Code, Embeddings, Function, JsonSchema, Mlflow, Rouge, Sacrebleu

from .evaluation_file import Evaluation
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
_STATE = "state.json"


class HostNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """The needs of an evaluation on a host. ``results``: the files that the stages write there, which come back.

    ``python``: the version for an environment, where the host's own is older than ``oldest``.
    """

    lines: list[str]
    results: list[str]
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
            lines=list(dict.fromkeys(_lines(file, scorers, litellm))), results=list(_results(folder, scorers)),
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        )  # fmt: skip

    def take(self, id: str, came: str) -> AnswerEvaluation:
        """Move results that came from a host into the folder. Raises Failed, Conflict: then the folder is as it was.

        A host is not trusted: all files are read first, and no answer that is here may be missing there.
        """
        folder, there = find_folder(self._root, id), Path(came)
        with self._alone(folder), on_disk(f"Free some space, then: genops evaluate resume {id}"):
            state = folder.state()
            scorers, _judges = all_scorers(folder, self._file(folder))
            files = [name for name in _results(folder, scorers) if (there / name).is_file()]
            found = _read(ResultsFolder(there), state, scorers)
            if _STATE not in files:
                return state
            missing = _answered(read(folder.calls)) - _answered(read(there / "calls.jsonl"))
            if missing:
                raise _invalid(state, f"{len(missing):,} answers that were asked for before are missing")
            for name in files:
                if name != _STATE:
                    private_dir((folder.path / name).parent)
                    (there / name).replace(folder.path / name)
            state = msgspec.structs.replace(
                state, models=found.models, notes=found.notes, stage=found.stage, unfinished=found.unfinished
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
    for scorer in scorers:
        yield from _OF_SCORERS.get(type(scorer), ())
        if isinstance(scorer, Embeddings) and not scorer.endpoint:
            yield "sentence-transformers>=3"
        if isinstance(scorer, Mlflow):  # another version may have other scorers
            yield f"mlflow=={importlib.metadata.version('mlflow')}"


def _results(folder: ResultsFolder, scorers: Sequence[Scorer]) -> Iterator[str]:
    """Yield the files of a folder that the stages write, by their path in it."""
    yield from (_STATE, "calls.jsonl", "turns.jsonl", "model-checks.json")
    for each in scorers:
        if isinstance(each, Judge | Embeddings):
            yield folder.judge_calls(each.label).relative_to(folder.path).as_posix()
        yield folder.scores_path(each.label).relative_to(folder.path).as_posix()


def _read(there: ResultsFolder, state: AnswerEvaluation, scorers: Sequence[Scorer]) -> AnswerEvaluation:
    """Read all results that came, and return the state. Raises Failed."""
    try:
        for path in (there.calls, there.turns, *(there.judge_calls(each.label) for each in scorers)):
            read(path)
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
