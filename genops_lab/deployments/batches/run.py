"""Score a file of rows: a process of the Lab, ``python -m genops_lab.deployments.batches.run``.

The first line of its standard input is the specification, with the key. The answers to each batch of rows are a Parquet
file in the folder ``parts``, so the work goes on after an end in its middle. The process ends with its standard input,
so it ends with the Lab. Lines of its standard output are ``{"rows": 512}``, ``{"error": ..., "hint": ...}``, and
``{"done": 1797}``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest

from .requests import Endpoint, Protocol, Row, plain_rows, protocol_of

_TIMEOUT_S = 600.0


class BatchScoring:
    """The rows of a file, in batches, with the answers that are there already."""

    def __init__(self, spec: dict[str, Any], protocol: Protocol) -> None:
        self._file = spec["rows"]
        self._size = int(spec["batch_rows"])
        self._parts = Path(spec["parts"])
        self._out = Path(spec["out"])
        self._protocol = protocol

    def score(self, parallel: int) -> int:
        """Ask about all rows that have no answer yet; return the number of rows. Raises Failed."""
        rows, running = 0, set[Future[int]]()
        with ThreadPoolExecutor(parallel) as pool:
            try:
                for at, batch in enumerate(self._batches()):
                    if self._part(at).exists():
                        rows += batch.num_rows
                        continue
                    running.add(pool.submit(self._ask, at, batch))
                    while len(running) >= 2 * parallel:
                        rows += self._finished(running)
                while running:
                    rows += self._finished(running)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return rows

    def _finished(self, running: set[Future[int]]) -> int:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        running -= done
        count = sum(each.result() for each in done)
        say({"rows": count})
        return count

    def _batches(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._file) as file:
            yield from file.iter_batches(self._size)

    def _part(self, at: int) -> Path:
        return self._parts / f"part-{at:08}.parquet"

    def _ask(self, at: int, batch: Any) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        first = at * self._size
        named = f"Rows {first:,} to {first + batch.num_rows - 1:,}"
        answers = self._protocol.answers(plain_rows(batch), named)
        names = list(dict.fromkeys([*self._protocol.columns, *(name for each in answers for name in each)]))
        double = [name for name in names if name in batch.schema.names]
        if double:
            raise InvalidRequest(
                f"The data has a column {double[0]!r}, and the answers have one too.",
                hint="Rename the column of the data.",
            )
        table = pa.Table.from_batches([batch])
        for name in names:
            values = [each.get(name) for each in answers]
            if name == "prediction" and all(each is None for each in values) and len(names) > 2:
                continue  # the answers have columns of their own
            table = table.append_column(name, pa.array(values))
        path = self._part(at)
        fresh = path.with_name(f".{path.name}")
        pq.write_table(table, fresh, compression="zstd")
        fresh.replace(path)
        return int(batch.num_rows)

    def pack(self) -> None:
        """Write all parts as one file, which appears when it is whole."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = sorted(self._parts.glob("part-*.parquet"))
        schema = pa.unify_schemas([pq.read_schema(each) for each in parts], promote_options="permissive")
        fresh = self._out.with_name(f".{self._out.name}.new")
        try:
            with pq.ParquetWriter(fresh, schema, compression="zstd") as writer:
                for each in parts:
                    writer.write_table(_with_schema(pq.read_table(each), schema))
            fresh.replace(self._out)
        finally:
            fresh.unlink(missing_ok=True)


def _with_schema(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    columns = [
        table.column(field.name).cast(field.type) if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]  # fmt: skip
    return pa.table(columns, schema=schema)


def say(message: Row) -> None:
    """Send a line to the Lab."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    while sys.stdin.readline():
        pass
    os._exit(3)


def main() -> int:
    """Score the rows of the specification. Return 0, or 1 after an error."""
    spec = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        parallel = int(spec["parallel"])
        endpoint = Endpoint(spec["url"], spec["key"], parallel, _TIMEOUT_S)
        scoring = BatchScoring(spec, protocol_of(endpoint, spec["without"], spec["settings"]))
        rows = scoring.score(parallel)
        scoring.pack()
    except GenOpsError as error:
        say({"error": error.message, "hint": error.hint})
        return 1
    except OSError as error:
        failed = Failed(
            f"Cannot write the answers: {error.strerror or error}.",
            hint="Free some disk space, then score again with the same options: the answers so far are kept.",
        )
        say({"error": failed.message, "hint": failed.hint})
        return 1
    say({"done": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
