"""Tables of runs whose values lie on what the queries of ``asked`` ask for, and beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from genops_lab.experiments.query import Kind
from tests.support.run_columns import Row

ZONE = "Europe/Berlin"
NOW = datetime(2026, 11, 26, 15, 30, tzinfo=ZoneInfo(ZONE))
#: Midnights, about the changes of the clocks too, a week ago, what else is asked for, and now.
DAYS = [
    "2026-11-26",
    "2026-11-25",
    "2026-11-19 15:30",
    "2026-10-25",
    "2026-10-26",
    "2026-03-29",
    "2026-03-30",
]
MARKS = [NOW, *(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(ZONE)) for day in DAYS)]
NUMBER_WORDS = ["0", "1", "-1", "0.001", "1e-3", "+5", " 5 ", "5.0", ".5", "7.", "inf", "-inf", "1E3"]
OTHER_WORDS = [
    "", "adam", "Adam", "adamw", "s_d", "100%", "a b", "it's", "x\ny", "日本", "É", "é", "nan", "1_0", "0x1", "2h",
]  # fmt: skip
NUMBERS = [0.0, 1.0, -1.0, 0.001, 5.0, 0.5, 7.0, 1000.0, math.inf, -math.inf, 2.5]
KEYS: dict[Kind, list[str]] = {
    "metric": ["loss", "val/loss", "top 5"],
    "param": ["lr", "a.b", "or", 'say "x"'],
    "tag": ["mlflow.note", "x-y"],
}


def _some(random: Random, values: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Most of the values, each drawn."""
    return {key: draw() for key, draw in values.items() if random.random() < 0.8}


def _many(seed: int) -> list[Row]:
    """Mostly enough runs for each border of each query to have one on it and one beside it."""
    random = Random(seed)

    def one_of(*values: Any) -> Callable[[], Any]:
        return lambda: random.choice(values)

    def time() -> float:
        return (
            round(random.choice(MARKS).timestamp() * 1000)
            + random.choice([-1, 0, 1, random.randrange(-(10**8), 10**8)])
        ) / 1000

    number, word = one_of(*NUMBERS, math.nan, random.gauss(0, 1)), one_of(*NUMBER_WORDS, *OTHER_WORDS)
    attributes: dict[str, Callable[[], Any]] = {
        "run_name": one_of("ResNet-50", "resnet 18", "vit", "ÉTÉ", "50%"),
        "run_id": lambda: f"{random.getrandbits(128):032x}",
        "status": one_of("RUNNING", "FINISHED", "FAILED"),
        "start_time": time,
        "end_time": time,
        # The difference of two times is seldom a round one.
        "duration": one_of(
            0.0, 0.5, NOW.timestamp() - (NOW.timestamp() - 0.5004), 90.0, 3600.0, 5400.0000003, 172800.0
        ),
    }
    return [
        Row(
            _some(random, attributes),
            _some(random, dict.fromkeys(KEYS["metric"], number)),
            # Of one parameter all that there is are numbers.
            _some(random, {**dict.fromkeys(KEYS["param"], word), "lr": one_of(*NUMBER_WORDS)}),
            _some(random, dict.fromkeys(KEYS["tag"], word)),
        )
        for _ in range(random.choice([0, 1, *[150] * 8]))
    ]


tables = st.integers(0, 2**32).map(_many)
