"""Scorers that run in a process of their own."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from genops_lab.genai.endpoints import embeddings

from .base import Answered, CannotScore, NotScored, Program, Score, column, yes
from .rules import fenced

#: What the label of an embeddings endpoint begins with.
EMBEDDINGS = "embeddings:"
_EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_FIELD = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")


class Regex(Program, frozen=True, kw_only=True, tag="regex", tag_field="scorer"):
    """The answer matches a pattern of Python somewhere; ``whole`` wants a match of the whole answer.

    A pattern may need longer than the age of the world. So it has ``timeout_s`` for an answer.
    """

    pattern: str
    whole: bool = False
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        Program.__post_init__(self)
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"the pattern is no regular expression: {error}") from error

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        text = answered.text
        found = re.fullmatch(self.pattern, text.strip()) if self.whole else re.search(self.pattern, text)
        return yes(found is not None)


class JsonSchema(Program, frozen=True, kw_only=True, tag="json_schema", tag_field="scorer"):
    """The answer is JSON, in a code fence or not, that keeps to a JSON Schema. Nothing is fetched for ``$ref``."""

    schema: dict[str, Any]
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        import jsonschema

        Program.__post_init__(self)
        try:
            jsonschema.validators.validator_for(self.schema).check_schema(self.schema)
        except jsonschema.SchemaError as error:
            raise ValueError(f"the schema is no JSON Schema: {error.message}") from error

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        import jsonschema
        import referencing

        try:
            found = json.loads(fenced(answered.text, "json"))
        except (ValueError, RecursionError):
            return yes(False, "the answer is no JSON")
        kind = jsonschema.validators.validator_for(self.schema)
        error = next(kind(self.schema, registry=referencing.Registry()).iter_errors(found), None)
        return yes(error is None, f"{error.json_path}: {error.message}" if error else "")


class _Expecting(Program, frozen=True, kw_only=True, tag_field="scorer"):
    """``expected``: the column with what is expected."""

    expected: str = "expected"

    def wanted(self, row: Mapping[str, Any]) -> Any:
        """Return what the row expects. Raises NotScored."""
        return column(row, self.expected)


class Sacrebleu(_Expecting, frozen=True, kw_only=True, tag="sacrebleu", tag_field="scorer"):
    """The likeness of the answer to the expected text, or to the nearest of several: ``chrf``, ``bleu`` or ``ter``.

    BLEU of single sentences is smoothed. TER counts edits: the score is 1 less TER, and 0 at least.
    """

    measure: Literal["chrf", "bleu", "ter"] = "chrf"

    def prepare(self, folder: Path) -> None:
        """Import sacrebleu."""
        global _loaded
        _loaded = imported("sacrebleu", self.label, "text-scores")

    def score(self, answered: Answered) -> Score:
        """Return the measure, 0 to 1."""
        sentence = getattr(_loaded, f"sentence_{self.measure}")
        found = sentence(answered.text, _references(self.wanted(answered.row))).score / 100
        return Score(value=max(0.0, 1 - found) if self.measure == "ter" else min(1.0, found))


class Rouge(_Expecting, frozen=True, kw_only=True, tag="rouge", tag_field="scorer"):
    """ROUGE's F1 with the expected text, or with the nearest of several. The words are stemmed, English ones only."""

    measure: Literal["rouge1", "rouge2", "rougeL", "rougeLsum"] = "rougeL"

    def prepare(self, folder: Path) -> None:
        """Import rouge-score."""
        found = imported("rouge_score.rouge_scorer", self.label, "text-scores")
        global _loaded
        _loaded = found.RougeScorer([self.measure], use_stemmer=True)

    def score(self, answered: Answered) -> Score:
        """Return F1, 0 to 1."""
        found = _loaded.score_multi(_references(self.wanted(answered.row)), answered.text)
        return Score(value=float(found[self.measure].fmeasure))


class Embeddings(_Expecting, frozen=True, kw_only=True, tag="embeddings", tag_field="scorer"):
    """The cosine of the embeddings of the answer and of the expected text, 0 where it is negative.

    - endpoint: an endpoint for embeddings of ``genops endpoints list``. It is asked as judges are.
    - model: in place of it a folder, or a name that sentence-transformers knows; it may download the model.
    """

    endpoint: str = ""
    model: str = ""
    memory_mb: int = 0
    judgements: ClassVar[int] = 1
    settings: ClassVar[dict[str, Any]] = {}

    def __post_init__(self) -> None:
        Program.__post_init__(self)
        if self.endpoint and self.model:
            raise ValueError("embeddings have either an endpoint or a model")

    @property
    def asks(self) -> str:
        """Return the label of its endpoint, which no judge of a file can have; empty for a model of this machine."""
        return EMBEDDINGS + self.endpoint if self.endpoint else ""

    def calls(self, answered: Answered) -> list[list[dict[str, Any]]]:
        """Return a call for the answer, and one for each expected text. Raises NotScored."""
        texts = [answered.text, *_references(self.wanted(answered.row))]
        if not all(map(str.strip, texts)):
            raise NotScored("the answer is empty" if not texts[0].strip() else "the expected text is empty")
        return [[{"role": "user", "content": each}] for each in texts]

    def read(self, texts: Sequence[str]) -> Score:
        """Return the greatest cosine of the answer's embedding with another. Raises NotScored."""
        one, *others = map(embeddings.from_text, texts)
        try:
            found = max(embeddings.cosine(one, other) for other in others)
        except ValueError as error:
            raise NotScored(str(error)) from error
        return Score(value=min(1.0, max(0.0, found)))

    def prepare(self, folder: Path) -> None:
        """Load the model."""
        found = imported("sentence_transformers", self.label, "embeddings")
        model = self.model or _EMBEDDING_MODEL
        beside = folder / model
        global _loaded
        _loaded = found.SentenceTransformer(str(beside) if beside.is_dir() else model)

    def score(self, answered: Answered) -> Score:
        """Return the cosine, 0 to 1."""
        texts = [answered.text, *_references(self.wanted(answered.row))]
        one, *others = _loaded.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return Score(value=min(1.0, max(0.0, *(float(one @ other) for other in others))))


class Mlflow(_Expecting, frozen=True, kw_only=True, tag="mlflow", tag_field="scorer"):
    """A scorer of ``mlflow.genai.scorers``, such as ``RegexMatch`` or ``Correctness``, with its ``arguments``.

    ``registered``: in place of ``class`` the name of one that is registered in MLflow, in the experiment with the name
    ``experiment`` (empty: that of the evaluation). It is kept with the evaluation as it is then.

    It gets the row as inputs, the answer as outputs and the column ``expected`` as the expected response. Those
    that ask a model take it from ``arguments``, such as ``model: openai:/gpt-5``, and its key from the environment.
    """

    scorer_class: str = msgspec.field(name="class", default="")
    registered: str = ""
    experiment: str = ""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    timeout_s: float = 120.0
    memory_mb: int = 0

    @property
    def label(self) -> str:
        """Return the name in the results."""
        return self.name or self.scorer_class or self.registered

    @property
    def kept_as(self) -> str:
        """Return the name of the file with the registered scorer, below the folder of the evaluation's files."""
        return f"registered-{hashlib.sha256(self.label.encode()).hexdigest()[:16]}.json"

    def __post_init__(self) -> None:
        Program.__post_init__(self)
        if bool(self.scorer_class) == bool(self.registered):
            raise ValueError(
                "a scorer of MLflow has either a class or registered, the name of a registered scorer"
            )
        if self.registered and self.arguments:
            raise ValueError("a registered scorer has its own arguments")

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return None: such a scorer may return any number."""
        return None

    def prepare(self, folder: Path) -> None:
        """Make MLflow's scorer."""
        import mlflow.genai.scorers as there

        global _loaded
        if self.registered:
            try:
                _loaded = there.Scorer.model_validate_json((folder / self.kept_as).read_text())
            except Exception as error:
                raise CannotScore(f"MLflow cannot load the scorer {self.registered}: {error}") from error
            return
        known = sorted(name for name in dir(there) if name[0].isupper())
        if self.scorer_class not in known:
            raise CannotScore(f"MLflow has no scorer {self.scorer_class!r}.", f"It has: {', '.join(known)}.")
        try:
            _loaded = getattr(there, self.scorer_class)(**self.arguments)
        except Exception as error:
            raise CannotScore(f"MLflow's {self.scorer_class} refuses its arguments: {error}") from error

    def score(self, answered: Answered) -> Score:
        """Return what the scorer returns: yes and no as 1 and 0."""
        expected = answered.row.get(self.expected)
        found = _loaded.run(
            inputs=dict(answered.row), outputs=answered.text,
            expectations=None if expected is None else {"expected_response": expected},
        )  # fmt: skip
        if isinstance(found, list):
            if len(found) != 1:
                raise NotScored(f"MLflow's {self.label} returned {len(found)} values")
            found = found[0]
        error = getattr(found, "error", None)
        if error is not None:
            raise NotScored(f"MLflow's {self.label}: {getattr(error, 'error_message', error)}")
        return given_score(getattr(found, "value", found), str(getattr(found, "rationale", None) or ""))


class Function(Program, frozen=True, kw_only=True, tag="function", tag_field="scorer"):
    """A function of a Python file beside the evaluation file.

    Its parameters are chosen by name: ``text``, ``row``, ``messages``, ``tool_calls``, ``latency_s``,
    ``finish_reason``, or ``answered`` for all. It returns a number, a truth value, None for "not scored", or one of
    them with a reason. It runs in the sandbox, where it can import what is installed; ``files`` names further files
    beside it. ``sandbox`` false gives it all that you may do yourself.
    """

    file: str
    function: str = "score"
    files: list[str] = msgspec.field(default_factory=list)
    sandbox: bool = True

    @property
    def label(self) -> str:
        """Return the name in the results."""
        return self.name or self.function

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return None: a function may return any number."""
        return None

    def prepare(self, folder: Path) -> None:
        """Import the file."""
        path = folder / Path(self.file).name if self.sandbox else folder / self.file
        sys.path.insert(0, str(path.parent))
        try:
            there = runpy.run_path(str(path), run_name="genops_scorer")
        except OSError as error:
            raise CannotScore(f"Cannot read {self.file}: {error.strerror}.") from error
        except ModuleNotFoundError as error:
            missing = (error.name or "a module").partition(".")[0]
            raise CannotScore(
                f"{self.file} imports {missing}, which is not installed for {sys.executable}.",
                f"Install it: {sys.executable} -m pip install {missing}. For an evaluation with --on, the evaluation "
                "file can name it below packages.",
            ) from error
        except BaseException as error:
            raise CannotScore(f"{self.file} raised {type(error).__name__}: {error}") from error
        global _loaded
        _loaded = there.get(self.function)
        if not callable(_loaded):
            raise CannotScore(f"{self.file} has no function {self.function!r}.")

    def score(self, answered: Answered) -> Score:
        """Return what the function returns."""
        given = {name: getattr(answered, name) for name in Answered.__struct_fields__} | {
            "answered": answered
        }
        wanted = inspect.signature(_loaded).parameters
        unknown = [name for name, each in wanted.items() if name not in given and each.default is each.empty]
        if unknown:
            raise NotScored(f"{self.function} has a parameter {unknown[0]!r}; known: {', '.join(given)}")
        found = _loaded(**{name: given[name] for name in wanted if name in given})
        if isinstance(found, tuple) and len(found) == 2:
            return given_score(found[0], str(found[1]))
        return given_score(found, "")


class Code(Program, frozen=True, kw_only=True, tag="code", tag_field="scorer"):
    """The Python code in the answer passes its tests, in the sandbox.

    - program: what runs. ``{{answer}}`` is the code of the answer's last code fence, ``{{column}}`` a row's text.
    - stdin: the column with the program's input.
    - stdout: the column with the output that is expected. Without it, the program must run to its end.
    - processes: processes and threads at once.

    Tests in the program are seen by the code that they test. Code that wants to cheat can: expect an output instead.
    """

    program: str = "{{answer}}\n\n{{tests}}\n"
    stdin: str = ""
    stdout: str = ""
    timeout_s: float = 10.0
    memory_mb: int = 1024
    processes: int = 16

    def written(self, answered: Answered) -> str:
        """Return the program for an answer. Raises NotScored if the row lacks a column."""
        code = fenced(answered.text, "python")

        def value(field: re.Match[str]) -> str:
            return code if field[1] == "answer" else str(column(answered.row, field[1]))

        return _FIELD.sub(value, self.program)


def given_score(value: Any, reason: str) -> Score:
    """Return the score that another's scorer gave: a number, a truth value, yes or no. Raises NotScored."""
    if isinstance(value, Score):
        return value
    value = getattr(value, "value", value)
    if isinstance(value, str):
        said = {"yes": 1.0, "true": 1.0, "pass": 1.0, "no": 0.0, "false": 0.0, "fail": 0.0}.get(
            value.casefold()
        )
        if said is None:
            raise NotScored(f"the scorer returned {value[:60]!r}, which is no number")
        value = said
    if value is None:
        raise NotScored(reason or "the scorer returned None")
    try:
        return Score(value=float(value), reason=reason)
    except (TypeError, ValueError) as error:
        raise NotScored(f"the scorer returned a {type(value).__name__}, which is no number") from error


def imported(module: str, label: str, extra: str) -> Any:
    """Return a module. Raises CannotScore where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition(".")[0]
        raise CannotScore(
            f"The scorer {label} needs {missing}, which is not installed.",
            f"pip install 'genops-lab[{extra}]'",
        ) from error


def _references(wanted: Any) -> list[str]:
    return [str(each) for each in wanted] if isinstance(wanted, list | tuple) else [str(wanted)]


#: What `prepare` made, in the process of the scorer.
_loaded: Any = None
