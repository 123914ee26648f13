"""List the examples of an evaluation with each model's score, for a table of thousands of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genops_lab.core.errors import NotFound

from .comparing import check_same_rows
from .journal import Key, read
from .models import ExampleLine, ExampleResult, Examples, ExamplesQuery
from .results_folder import KeptScore, ResultsFolder

#: Examples that one list has, and characters of what was asked.
MOST = 20_000
_SHOWN = 160


def list_examples(
    folder: ResultsFolder,
    asked: Mapping[str, str],
    models: Sequence[str],
    query: ExamplesQuery,
    other: ResultsFolder | None = None,
) -> Examples:
    """Return the examples with the mean score of each model's answers. Blocks. Raises NotFound, Conflict.

    ``asked`` has the last message of each example. ``other``: the evaluation that ``against`` of the query names.
    Failed calls and answers without a score are counted apart.
    """
    wanted = [each for each in query.models.split(",") if each] or list(models)
    own = _Results(folder, query.scorer)
    sides = [(own, model) for model in wanted]
    if other is not None:
        check_same_rows(folder.state(), other.state())
        sides.insert(0, (_Results(other, query.scorer), query.against_model))
    found = [
        ExampleLine(
            example=id,
            asked=" ".join(text[: 4 * _SHOWN].split())[:_SHOWN],
            results=[results.of(model, id) for results, model in sides],
        )
        for id, text in list(asked.items())[:MOST]
    ]
    return Examples(models=[model for _, model in sides], examples=found, left_out=max(len(asked) - MOST, 0))


class _Results:
    """The calls of an evaluation by model and example, with the scores of one scorer. Raises NotFound."""

    def __init__(self, folder: ResultsFolder, scorer: str) -> None:
        known = folder.state().scorers
        if scorer not in known:
            raise NotFound(
                f"{folder.id} has no scorer {scorer!r}.", hint=f"Its scorers are {', '.join(known)}."
            )
        self._marks = folder.scores(scorer)
        self._kept: dict[tuple[str, str], list[Key]] = {}
        calls = read(folder.calls)
        for key in calls:
            self._kept.setdefault((key[0], key[1]), []).append(key)
        self._failed = {key for key, call in calls.items() if call.answer is None}

    def of(self, model: str, example: str) -> ExampleResult:
        """Return the results of a model's answers to an example."""
        return _result(self._kept.get((model, example), ()), self._failed, self._marks)


def _result(keys: Sequence[Key], failed: set[Key], marks: Mapping[Key, KeptScore]) -> ExampleResult:
    answered = [key for key in keys if key not in failed]
    values = [value for key in answered if key in marks and (value := marks[key].value) is not None]
    return ExampleResult(
        value=sum(values) / len(values) if values else None,
        answered=len(answered),
        failed=len(keys) - len(answered),
        not_scored=len(answered) - len(values),
    )
