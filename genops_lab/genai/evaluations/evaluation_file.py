"""Read ``kind: Evaluation``: which models answer which rows with which prompt, and how answers are scored."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec

from genops_lab.core.yaml_files import YamlFileError, YamlKind
from genops_lab.genai.endpoints.limits import Limits, Price
from genops_lab.genai.scorers.kinds import Scorer

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")]


class EvaluationFileError(YamlFileError):
    """An evaluation file cannot be used. ``details`` has the line and the column, from 1."""

    code = "evaluation_file"


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The name of the evaluation."""

    name: Name


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One turn of a prompt; ``{{column}}`` stands for a row's value."""

    role: Literal["system", "user", "assistant"]
    content: str


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model that answers: a ``deployment`` of GenOps Lab, or ``url`` and ``model`` of another endpoint.

    ``url`` ends before ``/chat/completions``, such as ``https://api.example.com/v1``. ``key`` is the name of a
    secret. ``settings`` replace those of the evaluation.
    """

    deployment: str = ""
    url: str = ""
    model: str = ""
    key: str = ""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 120.0
    settings: dict[str, Any] = {}
    limits: Limits = Limits()
    price: Price | None = None


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An evaluation file.

    - data: rows as JSON lines, CSV or Parquet, beside the file.
    - id: the column with each row's id; empty: its number, from 1.
    - cluster: the column with what rows belong together by, such as a document; empty: each row stands alone.
    - repeats: answers to each row; each repeat has a seed of its own where ``seed`` is given.
    - settings: of each call, such as ``temperature`` and ``max_tokens``.
    - tries: calls at most for one answer, where a failure may pass.
    """

    apiVersion: Literal["genops/v1"]
    kind: Literal["Evaluation"]
    metadata: Metadata
    data: str
    prompt: str | list[Message]
    models: dict[Name, Model]
    scorers: list[Scorer]
    id: str = ""
    cluster: str = ""
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    seed: int | None = None
    settings: dict[str, Any] = {}
    tries: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4

    @property
    def messages(self) -> list[Message]:
        """Return the turns of the prompt."""
        return [Message(role="user", content=self.prompt)] if isinstance(self.prompt, str) else self.prompt


_FILE = YamlKind(
    content=Evaluation,
    error=EvaluationFileError,
    example="An example: docs/users/evaluate-answers.md",
    fewer="Use fewer parts.",
    words={
        "kind": ("Evaluation",),
        "scorer": tuple(str(each.__struct_config__.tag) for each in get_args(Scorer)),
        "role": ("system", "user", "assistant"),
    },
    shapes={"name": "must be letters, digits, '.', '_' or '-', and begin with a letter or digit"},
)


def read_evaluation(text: str, name: str = "evaluation.yaml") -> Evaluation:
    """Return the evaluation of a file's text. ``name`` stands in errors. Raises EvaluationFileError."""
    found = _FILE.read(text, name)
    for label, model in found.models.items():
        if bool(model.deployment) == bool(model.url) or (model.url and not model.model):
            raise EvaluationFileError(
                f"{name}: the model {label!r} must have either deployment, or url and model.",
                hint="deployment: NAME of genops deployments list, or the url and the model of another endpoint.",
            )
        limited = model.limits.tokens is not None or model.limits.money is not None
        if limited and not {"max_tokens", "max_completion_tokens"} & {*found.settings, *model.settings}:
            raise EvaluationFileError(
                f"{name}: the model {label!r} has a budget, and its settings have no max_tokens.",
                hint="Add max_tokens to settings: it is set aside before each call, so that the budget is kept.",
            )
        if model.limits.money is not None and model.price is None:
            raise EvaluationFileError(
                f"{name}: the model {label!r} has a budget of money, and no price.",
                hint="Add price: {input: ..., output: ...}, of a million tokens.",
            )
    labels = [each.label for each in found.scorers]
    if not labels or len(set(labels)) < len(labels):
        raise EvaluationFileError(
            f"{name}: two scorers have one name." if labels else f"{name} has no scorers.",
            hint="Give each scorer a name of its own: name: ...",
        )
    return found
