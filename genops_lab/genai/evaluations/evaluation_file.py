"""Read ``kind: Evaluation``: which models answer which rows with which prompt, and how answers are scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec
import yaml

from genops_lab.core.yaml_files import YamlFileError, YamlKind
from genops_lab.genai.endpoints.endpoint import is_bounded
from genops_lab.genai.endpoints.limits import Limits, Price
from genops_lab.genai.scorers.base import Judge
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.scorers.programs import Embeddings

from .conversation_file import Conversation, Tool
from .harness_file import Harness

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")]


class EvaluationFileError(YamlFileError):
    """An evaluation file cannot be used. ``details`` has the line and the column, from 1."""

    code = "evaluation_file"


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The name of the evaluation."""

    name: Name


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One turn of a prompt; ``{{column}}`` stands for a row's value.

    ``attach``: columns with pictures and PDFs, which follow the text: paths beside the rows, or data URLs.
    """

    role: Literal["system", "user", "assistant"]
    content: str
    attach: list[str] = []


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model that answers: a ``deployment`` of GenOps Lab, an ``endpoint`` of its list, or ``url`` and ``model``.

    ``registered``: the version of the registry that it serves, such as ``digits@3``, so that gates see its scores.
    ``url`` ends before ``/chat/completions``, such as ``https://api.example.com/v1``. ``key`` is the name of a
    secret. ``prompt`` and ``settings`` replace those of the evaluation, so that one model can be asked in two ways.
    """

    deployment: str = ""
    endpoint: str = ""
    url: str = ""
    model: str = ""
    registered: Annotated[str, msgspec.Meta(pattern=r"\A(|[^@]+@[^@]+)\Z")] = ""
    key: str = ""
    prompt: str | list[Message] = ""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 120.0
    settings: dict[str, Any] = {}
    limits: Limits = Limits()
    price: Price | None = None

    @property
    def asked_as(self) -> str:
        """Return the model's name for its provider, else that of the deployment or the endpoint."""
        return self.model or self.deployment or self.endpoint


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An evaluation file.

    - data: rows as JSON lines, CSV or Parquet, beside the file; ``traces:QUERY``, or ``dataset:NAME`` of MLflow.
    - prompt: the first turns; it may be left out where ``conversation`` has a history or a user.
    - judges: models that scorers ask, or that play the user; they answer no row.
    - pdf: whether PDFs are sent as their text, or as files, which few endpoints take.
    - harness: a task of inspect-ai or lm-evaluation-harness, in place of data, prompt and scorers.
    - conversation, tools: turns of a user, and tools whose answers are made up.
    - id: the column with each row's id; empty: its number, from 1.
    - cluster: the column with what rows belong together by, such as a document; empty: each row stands alone.
    - repeats: answers to each row; each repeat has a seed of its own where ``seed`` is given.
    - settings: of each call, such as ``temperature`` and ``max_tokens``.
    - tries: calls at most for one answer, where a failure may pass.
    - experiment: that of the runs in MLflow; empty: one for all evaluations of answers.
    - patience_s: how long to wait for an endpoint that is away, or that limits its rate.
    - only: the rows that are asked: columns with the value that they must have, such as ``{split: test}``.
    - training: a file of training data; rows that are in it are named.
    - slices: columns; differences are shown for each of their values.
    - stop_when_known: rows are asked in a random order until the differences of the models are known.
    - about: what the answer is about then. "these rows" needs fewer of them, and says nothing of others like them.
    - check_models: each model answers five short questions before and after, so that another one is noticed that
      answers under the same name.
    - packages: packages that functions and tasks of harnesses import. A target's host installs those that it lacks.
    - smallest_difference: a difference of scores that does not matter: within it, models are equal.
    """

    apiVersion: Literal["genops/v1"]
    kind: Literal["Evaluation"]
    metadata: Metadata
    models: dict[Name, Model]
    scorers: list[Scorer] = []
    data: str = ""
    harness: Harness | None = None
    prompt: str | list[Message] = ""
    judges: dict[Name, Model] = {}
    conversation: Conversation = Conversation()
    tools: list[Tool] = []
    pdf: Literal["text", "file"] = "text"
    experiment: str = ""
    id: str = ""
    cluster: str = ""
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    seed: int | None = None
    settings: dict[str, Any] = {}
    tries: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    patience_s: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 900.0
    only: dict[str, str | int | float | bool] = {}
    training: str = ""
    slices: list[str] = []
    stop_when_known: bool = False
    about: Literal["rows like these", "these rows"] = "rows like these"
    check_models: bool = False
    packages: list[Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][^\n]*\Z", max_length=300)]] = []
    smallest_difference: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    @property
    def messages(self) -> list[Message]:
        """Return the turns of the prompt."""
        return _turns(self.prompt)

    @property
    def all_messages(self) -> list[Message]:
        """Return the turns of all prompts that a model gets, its own or that of the evaluation."""
        return [each for model in self.models for each in self.messages_of(model)]

    def messages_of(self, model: str) -> list[Message]:
        """Return the turns that a model gets."""
        return _turns(self.models[model].prompt) or self.messages

    @property
    def attached(self) -> list[str]:
        """Return the columns with pictures and PDFs."""
        return list(dict.fromkeys(column for each in self.all_messages for column in each.attach))

    @property
    def converses(self) -> bool:
        """Return whether an answer needs more than one call."""
        return bool(self.tools or self.conversation.turns or self.conversation.user)


def embedding_models(scorers: Sequence[Scorer]) -> dict[str, Model]:
    """Return the endpoints for embeddings that scorers ask, by their labels."""
    return {
        each.asks: Model(endpoint=each.endpoint)
        for each in scorers
        if isinstance(each, Embeddings) and each.endpoint
    }


def _turns(prompt: str | list[Message]) -> list[Message]:
    if isinstance(prompt, str):
        return [Message(role="user", content=prompt)] if prompt else []
    return prompt


_FILE = YamlKind(
    content=Evaluation,
    error=EvaluationFileError,
    example="An example: docs/users/evaluate-answers.md",
    fewer="Use fewer parts.",
    words={
        "kind": ("Evaluation",),
        "scorer": tuple(str(each.__struct_config__.tag) for each in get_args(Scorer)),
        "role": ("system", "user", "assistant"),
        "about": ("rows like these", "these rows"),
    },
    shapes={
        "registered": "must be NAME@VERSION or NAME@ALIAS, such as digits@3",
        "packages": "must be a package as pip names it, such as pandas>=2",
        "name": "must be letters, digits, '.', '_' or '-', and begin with a letter or digit",
    },
)


def read_evaluation(text: str, name: str = "evaluation.yaml") -> Evaluation:
    """Return the evaluation of a file's text. ``name`` stands in errors. Raises EvaluationFileError."""
    found = _FILE.read(text, name)
    if not found.models:
        raise _error(text, name, ["models"], "there are no models.", "Name one: models: {NAME: ...}")
    _check_models(text, name, "models", found.models, found.settings)
    _check_conversation(text, name, found)
    _check_scorers(text, name, found)
    if found.stop_when_known:
        _check_stopping(text, name, found)
    return found


def _check_stopping(text: str, name: str, found: Evaluation) -> None:
    if len(found.models) < 2:
        what = "stop_when_known needs two models: the difference of one is never known."
        raise _error(text, name, ["stop_when_known"], what, "Name another model, or remove stop_when_known.")
    if all(each.bounds is None for each in found.scorers):
        what = "stop_when_known needs a scorer with bounds, such as exact or a judge."
        hint = "Add one, or give a bound: at_least or at_most."
        raise _error(text, name, ["stop_when_known"], what, hint)


def _check_models(text: str, name: str, key: str, models: dict[str, Model], settings: dict[str, Any]) -> None:
    for label, model in models.items():
        place = [key, label]
        ways = [model.deployment, model.endpoint, model.url]
        if sum(map(bool, ways)) != 1 or (model.url and not model.model):
            raise _error(
                text, name, place,
                f"the model {label!r} must have one of deployment, endpoint, or url and model.",
                "deployment: NAME of genops deployments list, or the url and the model of another endpoint.",
            )  # fmt: skip
        limited = model.limits.tokens is not None or model.limits.money is not None
        if limited and not is_bounded({**settings, **model.settings}):
            raise _error(
                text, name, place, f"the model {label!r} has a budget, and its settings have no max_tokens above 0.",
                "Add max_tokens to settings: it is set aside before each call, so that the budget is kept.",
            )  # fmt: skip
        if model.limits.money is not None and model.price is None and not model.endpoint:
            raise _error(
                text, name, place, f"the model {label!r} has a budget of money, and no price.",
                "Add price: {input: ..., output: ...}, of a million tokens.",
            )  # fmt: skip


def _check_conversation(text: str, name: str, found: Evaluation) -> None:
    plan = found.conversation
    if found.harness and (
        found.data or any(map(found.messages_of, found.models)) or plan != Conversation() or found.tools
    ):
        raise _error(
            text, name, ["harness"], "a task of another harness has its own rows, prompt and tools.",
            "Leave out data, prompt, conversation and tools.",
        )  # fmt: skip
    if not (found.harness or plan.history or plan.user or all(map(found.messages_of, found.models))):
        raise _error(text, name, [], "there is no prompt.", "Add prompt, or conversation: {history: COLUMN}.")
    if plan.user and plan.user.model not in found.judges:
        raise _error(
            text, name, ["conversation", "user"],
            f"the user is {plan.user.model!r}, which is not below judges.",
            f"Add it there: judges: {{{plan.user.model}: {{url: ..., model: ...}}}}",
        )  # fmt: skip
    names = [each.name for each in found.tools]
    for at, each in enumerate(names):
        if each in names[:at]:
            what = f"another tool has the name {each!r}."
            raise _error(text, name, ["tools", at], what, "Give each tool a name of its own.")


class AddedScorers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Scorers that are added to an evaluation: the keys ``scorers`` and ``judges`` of an evaluation file."""

    scorers: list[Scorer]
    judges: dict[Name, Model] = {}


def read_scorers(text: str, name: str = "scorers.yaml") -> AddedScorers:
    """Return the scorers of a text. Raises EvaluationFileError."""
    found = _SCORERS.read(text, name)
    _check_scorers(text, name, found)
    return found


_SCORERS = YamlKind(
    content=AddedScorers,
    error=EvaluationFileError,
    example=_FILE.example,
    fewer=_FILE.fewer,
    words=_FILE.words,
)


def _check_scorers(text: str, name: str, found: Evaluation | AddedScorers) -> None:
    known: set[str] = set()
    for at, scorer in enumerate(found.scorers):
        place: list[str | int] = ["scorers", at]
        if scorer.label in known:
            what = f"another scorer has the name {scorer.label!r}."
            raise _error(text, name, place, what, "Give each scorer a name of its own: name: ...")
        known.add(scorer.label)
        if isinstance(scorer, Judge) and scorer.model not in found.judges:
            what = f"the scorer {scorer.label!r} asks {scorer.model!r}, which is not below judges."
            hint = f"Add it there: judges: {{{scorer.model}: {{url: ..., model: ...}}}}"
            raise _error(text, name, place, what, hint)
    if not known and not (isinstance(found, Evaluation) and found.harness):
        raise _error(text, name, [], "there are no scorers.", "Add one: scorers: [{scorer: exact}]")
    _check_models(text, name, "judges", found.judges, {})


def _error(text: str, name: str, place: Sequence[str | int], what: str, hint: str) -> EvaluationFileError:
    """Return an error with the line and the column of a value in the file."""
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for part in place:
        if isinstance(node, yaml.MappingNode):
            node = next(value for key, value in node.value if key.value == part)
        else:
            node = node.value[part]
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    return EvaluationFileError(
        f"{name}, line {line}, column {column}: {what}", hint=hint, details={"line": line, "column": column}
    )
