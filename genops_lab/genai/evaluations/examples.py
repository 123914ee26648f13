"""List the examples of an evaluation with each model's score, for a table of thousands of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genops_lab.core.errors import NotFound

from .journal import Key, read
from .models import ExampleLine, ExampleResult, Examples, ExamplesQuery
from .results_folder import KeptScore, ResultsFolder

#: Examples that one list has, and characters of what was asked.
MOST = 20_000
_SHOWN = 160


def list_examples(
    folder: ResultsFolder, asked: Mapping[str, str], models: Sequence[str], query: ExamplesQuery
) -> Examples:
    """Return the examples with the mean score of each model's answers. Blocks. Raises NotFound.

    ``asked`` has the last message of each example. Failed calls and answers without a score are counted apart.
    """
    known = folder.state().scorers
    if query.scorer not in known:
        raise NotFound(
            f"{folder.id} has no scorer {query.scorer!r}.", hint=f"Its scorers are {', '.join(known)}."
        )
    wanted = [each for each in query.models.split(",") if each] or list(models)
    marks = folder.scores(query.scorer)
    kept: dict[tuple[str, str], list[Key]] = {}
    calls = read(folder.calls)
    for key in calls:
        kept.setdefault((key[0], key[1]), []).append(key)
    failed = {key for key, call in calls.items() if call.answer is None}
    found = [
        ExampleLine(
            example=id,
            asked=" ".join(text[: 4 * _SHOWN].split())[:_SHOWN],
            results=[_result(kept.get((model, id), ()), failed, marks) for model in wanted],
        )
        for id, text in list(asked.items())[:MOST]
    ]
    return Examples(models=wanted, examples=found, left_out=max(len(asked) - MOST, 0))


def _result(keys: Sequence[Key], failed: set[Key], marks: Mapping[Key, KeptScore]) -> ExampleResult:
    answered = [key for key in keys if key not in failed]
    values = [value for key in answered if key in marks and (value := marks[key].value) is not None]
    return ExampleResult(
        value=sum(values) / len(values) if values else None,
        answered=len(answered),
        failed=len(keys) - len(answered),
        not_scored=len(answered) - len(values),
    )
