"""Wire types of batch scoring."""

from __future__ import annotations

import msgspec

from genops_lab.core.models import Task


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Score the rows of ``data`` with a deployment, and write rows and answers into ``out``, a Parquet file.

    data: the absolute path of a file on the Lab's machine, one below the Jupyter server's folder, or the NAME@DIGEST of
    a data set that MLflow knows. ``without`` names columns that the model does not get. ``settings`` are parts of each
    request to a language model, such as ``temperature``. ``parallel`` requests of ``batch_rows`` rows are under way at
    once.
    """

    data: str
    out: str
    without: list[str] = []
    settings: dict[str, int | float | str | bool] = {}
    batch_rows: int = 256
    parallel: int = 4
    overwrite: bool = False


class BegunBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that a task scores. ``out`` is the absolute path of the file that it writes."""

    task: Task
    out: str
