"""Options of the magics."""

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
    "Nsight Compute takes how much it measures when it starts the kernel: choose it with the command "
    "'Restart Kernel with Nsight Compute…'."
)


class Parser(argparse.ArgumentParser):
    """Wrong usage is an error of ours; nothing exits. ``elsewhere``: what is chosen in another place, and where."""

    def __init__(self, *given: Any, elsewhere: Optional[Dict[str, str]] = None, **options: Any) -> None:
        super().__init__(*given, **options)
        self._elsewhere = elsewhere or {}

    def error(self, message: str) -> NoReturn:
        """Raises GenOpsError, with the option that may have been meant."""
        unknown = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        if unknown and unknown[1] in self._elsewhere:
            raise GenOpsError(f"{self.prog} has no {unknown[1]}.", self._elsewhere[unknown[1]])
        known = [name for action in self._actions for name in action.option_strings]
        meant = difflib.get_close_matches(unknown[1], known, 1) if unknown else []
        end = f"; did you mean {meant[0]}?" if meant else "."
        raise GenOpsError(f"{self.prog}: {message}{end}", self.format_usage().strip())

    def exit(self, status: int = 0, message: Any = None) -> NoReturn:
        if not status and not message:  # the help was printed
            raise GenOpsError(f"{self.prog} --help runs nothing.", "Take it off to run the code.")
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
    """Options of ``track``."""
    parser = Parser(prog="%%track", add_help=False, allow_abbrev=False)
    parser.add_argument("--name", default="", help="the run's name")
    parser.add_argument("--experiment", default="", help="the experiment; the notebook's name without it")
    parser.add_argument("--tag", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--param", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--nested",
        action="store_true",
        default=None,
        help="below the open run (as without it, if one was opened)",
    )
    parser.add_argument(
        "--no-nested", dest="nested", action="store_false", help="by itself, though one is open"
    )
    parser.add_argument(
        "--resume", default="", metavar="RUN", help="go on with a run: id, beginning, name, latest"
    )
    parser.add_argument("--autolog", action="store_true", help="what mlflow.autolog finds, without models")
    parser.add_argument("--log-models", action="store_true", help="with the models; implies --autolog")
    parser.add_argument(
        "--no-auto", action="store_true", help="do not log step time, learning rate and gradient norm"
    )
    parser.add_argument("--no-output", action="store_true", help="do not keep what is printed")
    parser.add_argument(
        "--no-source", action="store_true", help="keep no cells, uncommitted changes and packages"
    )
    parser.add_argument("--no-system", action="store_true", help="do not record the machine's load")
    return parser


def profile_parser() -> argparse.ArgumentParser:
    """Options of ``profile``; their names are those of :class:`~genops_lab.runtime.profiling.RecordingOptions`."""
    parser = Parser(prog="%%profile", allow_abbrev=False, elsewhere={"--set": _SET_AT_START})
    parser.add_argument(
        "--title",
        default="",
        help="the profile's title; the notebook's name and the cell's number without it",
    )
    parser.add_argument(
        "--steps",
        type=_count(1),
        default=0,
        help="record at most so many optimizer steps (10; 1 with Nsight Compute)",
    )
    parser.add_argument(
        "--warmup", type=_count(0), default=2, help="steps before them that are not recorded (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=positive, default=0.0, help="record at most so long (20; 60 with Nsight Compute)"
    )
    parser.add_argument(
        "--megabytes",
        type=positive,
        default=200.0,
        help="let the recorder take at most so much (%(default)s)",
    )
    parser.add_argument("--shapes", action="store_true", help="record the inputs' shapes (slower)")
    parser.add_argument("--stacks", action="store_true", help="record Python's stacks (much slower)")
    parser.add_argument("--memory", action="store_true", help="record allocations (slower)")
    parser.add_argument("--graphs", action="store_true", help="keep CUPTI attached, for CUDA graphs")
    parser.add_argument(
        "--usd-per-hour", type=_price, help="for the price of a step; without it, the target's"
    )
    parser.add_argument("--no-lines", dest="lines", action="store_false", help="do not mark the cells' lines")
    return parser


def memory_parser() -> argparse.ArgumentParser:
    """Options of ``%genops memory``."""
    parser = Parser(prog="%genops memory", allow_abbrev=False)
    parser.add_argument("verb", choices=("record", "show", "stop"))
    parser.add_argument("--events", type=_count(1), default=100_000, help="keep the latest so many events")
    parser.add_argument("--json", action="store_true", help="print what show and stop say as JSON")
    return parser


def cell_options(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """The options of a cell magic's line. Raises GenOpsError with the usage."""
    return parser.parse_args(words(line))


def split_statement(parser: argparse.ArgumentParser, line: str) -> Tuple[argparse.Namespace, str]:
    """The options of a line magic and the statement behind them. Raises GenOpsError where there is none."""
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
            f"There is no statement behind %{name}, so nothing ran.",
            f"Write it there, or %%{name} with two signs above a whole cell.",
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
