"""Define the options of the magics."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple, TypeVar

from .errors import GenOpsError
from .scopes import words

_Number = TypeVar("_Number", int, float)
_SET_AT_START = (
    "Nsight Compute fixes its metric set when it starts the kernel. Choose the set with the command "
    "'Restart Kernel with Nsight Compute…'."
)


class Parser(argparse.ArgumentParser):
    """Raises GenOpsError for wrong usage. ``elsewhere`` maps options that are set in another place to a hint."""

    def __init__(self, *given: Any, elsewhere: Optional[Dict[str, str]] = None, **options: Any) -> None:
        super().__init__(*given, **options)
        self._elsewhere = elsewhere or {}

    def error(self, message: str) -> NoReturn:
        """Raise GenOpsError with the usage, and with an option of a similar name."""
        unknown = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        if unknown and unknown[1] in self._elsewhere:
            raise GenOpsError(f"{self.prog} has no {unknown[1]}.", self._elsewhere[unknown[1]])
        known = [name for action in self._actions for name in action.option_strings]
        meant = difflib.get_close_matches(unknown[1], known, 1) if unknown else []
        end = f"; did you mean {meant[0]}?" if meant else "."
        raise GenOpsError(f"{self.prog}: {message}{end}", self.format_usage().strip())

    def exit(self, status: int = 0, message: Any = None) -> NoReturn:
        if not status and not message:  # the help was printed
            raise GenOpsError(
                f"{self.prog} --help prints the help and runs nothing.", "Remove --help to run the code."
            )
        raise GenOpsError(f"{self.prog}: {message or 'see the usage.'}", self.format_usage().strip())


def _pair(text: str) -> Tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def positive(text: str) -> float:
    """Return a number above 0, as the option's ``type``."""
    number = _number(text, float, "a number")
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def _price(text: str) -> float:
    usd = _number(text, float, "a price in USD")
    if not 0 <= usd < math.inf:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return usd


def _count(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = _number(text, int, "a whole number")
        if number < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more")
        return number

    return read


def _number(text: str, kind: Callable[[str], _Number], name: str) -> _Number:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {name}") from None


def track_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%%track``."""
    parser = Parser(
        prog="%%track",
        description="Run the cell as a tracked MLflow run, or with --repeat N as N runs with different seeds.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("--name", default="", help="the run's name; default: a name that MLflow makes up")
    parser.add_argument(
        "--experiment", default="", help="the experiment's name; default: the notebook's name"
    )
    parser.add_argument(
        "--tag",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a tag of the run; can be given several times",
    )
    parser.add_argument(
        "--param",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the run; can be given several times",
    )
    parser.add_argument(
        "--nested",
        action="store_true",
        default=None,
        help="make the run a child of the open run, also of one that opened by itself",
    )
    parser.add_argument(
        "--no-nested", dest="nested", action="store_false", help="do not make the run a child of the open run"
    )
    parser.add_argument(
        "--resume",
        default="",
        metavar="RUN",
        help="continue a run: its id, the beginning of its id, its name, or latest",
    )
    parser.add_argument("--autolog", action="store_true", help="switch on mlflow.autolog, without models")
    parser.add_argument("--log-models", action="store_true", help="switch on mlflow.autolog, with models")
    parser.add_argument(
        "--no-auto",
        action="store_true",
        help="do not log step time, learning rate and gradient norm of torch's optimizers",
    )
    parser.add_argument("--no-output", action="store_true", help="do not keep the printed output")
    parser.add_argument(
        "--no-source", action="store_true", help="keep no cells, uncommitted changes or list of packages"
    )
    parser.add_argument("--no-system", action="store_true", help="do not record the machine's load")
    return parser


def profile_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%%profile``; its names are those of
    :class:`~genops_lab.runtime.profiling.RecordingOptions`.
    """
    parser = Parser(
        prog="%%profile",
        description="Record the cell with PyTorch's profiler, and keep the trace with the tracked run.",
        allow_abbrev=False,
        elsewhere={"--set": _SET_AT_START},
    )
    parser.add_argument(
        "--title",
        default="",
        help="the profile's title; default: the notebook's name and the cell's number",
    )
    parser.add_argument(
        "--steps",
        type=_count(1),
        default=0,
        help="optimizer steps to record, at most; default: 10, under Nsight Compute 1",
    )
    parser.add_argument(
        "--warmup",
        type=_count(0),
        default=2,
        help="optimizer steps to skip before the recording; default: %(default)s",
    )
    parser.add_argument(
        "--seconds",
        type=positive,
        default=0.0,
        help="seconds to record, at most; default: 20, under Nsight Compute 60",
    )
    parser.add_argument(
        "--megabytes",
        type=positive,
        default=200.0,
        help="MB of memory for the recorder, at most; default: %(default)s",
    )
    parser.add_argument(
        "--shapes", action="store_true", help="record the shapes of operators' inputs (slower)"
    )
    parser.add_argument("--stacks", action="store_true", help="record Python stacks (much slower)")
    parser.add_argument("--memory", action="store_true", help="record memory allocations (slower)")
    parser.add_argument("--graphs", action="store_true", help="keep CUPTI attached, for CUDA graphs")
    parser.add_argument(
        "--usd-per-hour",
        type=_price,
        help="price of the hardware in USD an hour, for the price of a step; default: the target's price",
    )
    parser.add_argument(
        "--no-lines", dest="lines", action="store_false", help="do not mark the cells' lines in the trace"
    )
    return parser


def memory_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%genops memory``."""
    parser = Parser(
        prog="%genops memory",
        description="Record CUDA's memory allocator, and show what uses the memory.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "verb",
        choices=("record", "show", "stop"),
        help="start the recording, show the memory, or end the recording",
    )
    parser.add_argument(
        "--events",
        type=_count(1),
        default=100_000,
        help="number of latest events to keep; default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print the answer of show and stop as JSON")
    return parser


def prompt_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%%prompt``."""
    parser = Parser(
        prog="%%prompt",
        description="Save the cell's text as a version of a prompt in MLflow.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("name", help="the name of the prompt")
    parser.add_argument("--message", default="", help="what changed in this version")
    parser.add_argument("--alias", default="", help="an alias that shall name the version")
    return parser


def evaluate_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%%evaluate``."""
    parser = Parser(
        prog="%%evaluate",
        description="Evaluate what models answer, as the cell's evaluation file says.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "rows", nargs="?", default="", help="a variable with rows: a data frame or a list of dicts"
    )
    parser.add_argument(
        "--name", default="", help="the name of the evaluation; default: that of the variable"
    )
    parser.add_argument(
        "--keep-running", action="store_true", help="let the evaluation go on when the cell is stopped"
    )
    parser.add_argument(
        "--on", default="", metavar="TARGET", help="ask and score on the host of this connected target"
    )
    return parser


def cell_options(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """Return the options of a cell magic's line. Raises GenOpsError with the usage."""
    return parser.parse_args(words(line))


def split_statement(parser: argparse.ArgumentParser, line: str) -> Tuple[argparse.Namespace, str]:
    """Return the options of a line magic and its statement. Raises GenOpsError if the statement is missing."""
    takes_value = {
        option: action.nargs != 0 for action in parser._actions for option in action.option_strings
    }
    rest = line.strip()
    given: List[str] = []
    while rest.startswith("--"):
        option, rest = _first_word(rest)
        given.append(option)
        if takes_value.get(option, False) and rest:
            value, rest = _first_word(rest)
            given.append(value)
    options = parser.parse_args(words(" ".join(given)))
    if not rest:
        name = parser.prog.lstrip("%")
        raise GenOpsError(
            f"%{name} has no statement, so nothing ran.",
            f"Write the statement behind %{name}, or use %%{name} (two signs) above a cell.",
        )
    return options, rest


def _first_word(text: str) -> Tuple[str, str]:
    quote = ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character.isspace():
            return text[:index], text[index:].lstrip()
    return text, ""
