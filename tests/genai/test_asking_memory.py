"""What is kept of the calls of an evaluation until its end does not grow with the size of its prompts."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from genops_lab.genai.endpoints.endpoint import Connection, Endpoint
from genops_lab.genai.evaluations.asking import Asking, Wanted
from genops_lab.genai.evaluations.journal import Journal

from .answering import Answering

ROWS, SIZE = 200, 50_000


async def test_no_prompt_is_kept_after_its_call(tmp_path: Path) -> None:
    stub = Answering(lambda _number, _text, _headers: (200, "x", 0.0))
    with stub.serving() as url:
        endpoint = Endpoint(name="a", url=url, model="m")
        async with Journal(tmp_path / "calls.jsonl") as journal, Connection(endpoint) as connection:
            asking = Asking(connection, journal)
            tracemalloc.start()
            try:
                wanted = [
                    Wanted(
                        example=str(at),
                        repeat=0,
                        messages=[{"role": "user", "content": f"{at} ".ljust(SIZE, "x")}],
                    )
                    for at in range(ROWS)
                ]
                asked = await asking.ask(wanted)
                del wanted
                # The stub keeps what it was asked.
                stub.bodies.clear()
                stub.said.clear()
                gc.collect()
                kept, _peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert asked.answered == ROWS
    assert kept < ROWS * SIZE / 4
