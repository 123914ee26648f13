"""Find, read and check the data set of an evaluation, in the worker process."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.evaluations import tags
from genops_lab.evaluations.models import DataSet
from genops_lab.experiments.backends.artifacts import local_path
from genops_lab.experiments.backends.client import MlflowBackend, all_pages, mlflow_errors, quoted
from genops_lab.runtime.datasets import DIGEST_LENGTH, fingerprint
from genops_lab.runtime.errors import GenOpsError as Unreadable

#: A data frame of pandas, which has no types here.
Frame = Any

ROWS, ROLES = "rows.parquet", "roles.parquet"
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_LABELS = ("label", "target")
_LOOKED_AT = 1000
_SHOWN = 12
_OURS = re.compile(rf"[0-9a-f]{{{DIGEST_LENGTH}}}")
#: Digests of MLflow's data frames have 8 digits.
_MLFLOWS = re.compile(r"[0-9a-f]{8}")


class EvaluationData(MlflowBackend):
    """Reads data sets by their file, or by the name and digest under which MLflow knows them."""

    def find(self, data: str, name: str) -> DataSet:
        """Return the data set of a file (absolute path) or of ``NAME@DIGEST``. Raises NotFound or InvalidRequest."""
        if Path(data).is_absolute():
            return self._of_file(Path(data), name)
        return self._known(data)

    def prepare(self, data: str, name: str, columns: DataSet, folder: str) -> DataSet:
        """Write ``rows.parquet`` (without labels) and ``roles.parquet`` (id, label, groups) into ``folder``.

        ``columns`` has the columns that a person named. Raises InvalidRequest if the file has not the digest, or not
        the columns, or an id twice.
        """
        found = self.find(data, name)
        target = Path(folder)
        with tempfile.TemporaryDirectory(prefix="data-", dir=folder) as scratch:
            file = self._fetched(found, Path(scratch))
            frame = _frame(file, columns.id or str(found.profile.get("id", "")))
            self._check_digest(found, file)
            chosen = _with_columns(found, columns, frame)
            roles = _roles(chosen, frame)
            frame.drop(columns=[chosen.label] if chosen.label else []).to_parquet(target / ROWS, index=False)
            roles.to_parquet(target / ROLES, index=False)
        return chosen

    def copy(self, data: str, folder: str) -> DataSet:
        """Write all columns as ``rows.parquet`` into ``folder``; raises as :meth:`table`."""
        from msgspec.structs import replace

        found = self.find(data, "")
        with tempfile.TemporaryDirectory(prefix="data-", dir=folder) as scratch:
            file = self._fetched(found, Path(scratch))
            frame = _frame(file, str(found.profile.get("id", "")))
            self._check_digest(found, file)
            frame.to_parquet(Path(folder) / ROWS, index=False)
        return replace(found, rows=len(frame))

    def table(self, found: DataSet, most_bytes: int) -> Frame:
        """Return the rows of a data set whose content still has its digest. Raises NotFound, InvalidRequest, Failed."""
        with tempfile.TemporaryDirectory(prefix="data-", dir=self._scratch) as scratch:
            file = self._fetched(found, Path(scratch))
            size = file.stat().st_size
            if size > most_bytes:
                raise InvalidRequest(
                    f"The file {file.name} has {size / 1e6:,.0f} MB; at most {most_bytes / 1e6:,.0f} MB are read.",
                    hint="Log a sample of the data.",
                )
            frame = _frame(file, str(found.profile.get("id", "")))
            self._check_digest(found, file)
            return frame

    def _of_file(self, file: Path, name: str) -> DataSet:
        try:
            made = fingerprint(str(file), name)
        except Unreadable as error:
            raise InvalidRequest(error.message, hint=error.hint) from error
        if made.kind != "file":
            raise InvalidRequest(f"{file} is a folder.", hint="Give one file: " + ", ".join(FORMATS))
        _check_format(file)
        event = made.event("")
        source = DataSet(
            name=made.name,
            digest=made.digest,
            source_type="file",
            source=event["source"],
            profile=json.loads(event["profile"]),
            file=str(file),
        )
        return self._as_kept(source)

    def _as_kept(self, found: DataSet) -> DataSet:
        """Return the data set with the columns and the kept file of its last evaluation."""
        from msgspec.structs import replace

        with mlflow_errors(f"The data set {found.name!r} could not be looked up"):
            for run, dataset in self._inputs(f"dataset.digest = {quoted(found.digest)}"):
                if (
                    dataset.name == found.name
                    and dataset.digest == found.digest
                    and run.data.tags.get(tags.DATA)
                ):
                    known = _profile(dataset)
                    return replace(
                        found, profile={**known, **found.profile}, kept=run.info.run_id if _keeps(run) else ""
                    )
        return found

    def _known(self, data: str) -> DataSet:
        name, _, prefix = data.rpartition("@") if "@" in data else (data, "", "")
        with mlflow_errors(f"The data set {name!r} could not be looked up"):
            clauses = [f"dataset.name = {quoted(name)}"]
            if prefix:
                clauses.append(f"dataset.digest LIKE {quoted(prefix + '%')}")
            found = [
                each
                for each in self._inputs(" AND ".join(clauses))
                if each[1].name == name and each[1].digest.startswith(prefix)
            ]
        if not found:
            raise NotFound(
                f"MLflow knows no data set {data!r}.",
                hint="Give its file the first time: --data FILE.parquet. Log one in a run: genops.dataset(FILE).",
            )
        digests = dict.fromkeys(dataset.digest for _run, dataset in found)
        if prefix and len(digests) > 1 and prefix not in digests:
            raise InvalidRequest(
                f"{len(digests)} digests of {name!r} begin with {prefix!r}: {', '.join(list(digests)[:5])}.",
                hint="Give more characters of the digest.",
            )
        digest = prefix if prefix in digests else next(iter(digests))
        same = [each for each in found if each[1].digest == digest]
        kept = next((run.info.run_id for run, _dataset in same if _keeps(run)), "")
        profiles = [_profile(dataset) for run, dataset in same if run.data.tags.get(tags.DATA)]
        dataset = same[0][1]
        return DataSet(
            name=name,
            digest=digest,
            source_type=dataset.source_type or "",
            source=dataset.source or "",
            profile={**_profile(dataset), **(profiles[0] if profiles else {})},
            kept=kept,
        )

    def _inputs(self, clause: str) -> list[tuple[Any, Any]]:
        """Return runs, the newest first, with those of their data sets."""
        experiments = [each.experiment_id for each in all_pages(self._client.search_experiments)]
        runs = self._client.search_runs(
            experiments, clause, max_results=_LOOKED_AT, order_by=["attributes.start_time DESC"]
        )
        return [
            (run, each.dataset)
            for run in runs
            for each in (run.inputs.dataset_inputs if run.inputs is not None else [])
        ]

    def _fetched(self, found: DataSet, scratch: Path) -> Path:
        if found.file:
            return Path(found.file)
        if found.kept:
            with mlflow_errors(f"The kept file of {found.name!r} could not be fetched"):
                path = self._client.get_run(found.kept).data.tags[tags.FILE]
                return Path(self._client.download_artifacts(found.kept, path, str(scratch)))
        uri = _uri(found.source)
        local = local_path(uri) if uri else None
        if local is not None:
            if not local.is_file():
                raise NotFound(
                    f"The file of {found.name}@{found.digest} is gone: {local}.",
                    hint="Put the file back, or evaluate on another one: --data FILE.",
                    code="file_gone",
                )
            return local
        return self._loaded(found, scratch)

    def _loaded(self, found: DataSet, scratch: Path) -> Path:
        import mlflow.data
        from mlflow.entities import Dataset
        from mlflow.exceptions import MlflowException

        given = Dataset(
            name=found.name, digest=found.digest, source_type=found.source_type, source=found.source
        )
        try:
            source: Any = mlflow.data.get_source(given)
            loaded = Path(source.load(str(scratch)))
        except (MlflowException, OSError, NotImplementedError, ValueError, TypeError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise Failed(
                f"The source of {found.name}@{found.digest} ({found.source_type or 'unknown'}) cannot be read: {first}",
                hint="Give the file of the data set: --data FILE.",
            ) from error
        if loaded.is_file():
            return loaded
        files = [each for each in loaded.rglob("*") if each.is_file()] if loaded.is_dir() else []
        if len(files) != 1:
            raise Failed(
                f"The source of {found.name}@{found.digest} has {len(files)} files.",
                hint="Give the file that has the rows: --data FILE.",
            )
        return files[0]

    def _check_digest(self, found: DataSet, file: Path) -> None:
        if found.file:
            return
        if _OURS.fullmatch(found.digest):
            now = fingerprint(str(file)).digest
        elif _MLFLOWS.fullmatch(found.digest):
            from mlflow.data.digest_utils import compute_pandas_digest

            now = str(compute_pandas_digest(_frame(file, None)))
        else:
            raise InvalidRequest(
                f"The digest {found.digest!r} of {found.name!r} is of a kind that cannot be computed again.",
                hint="Evaluate on the file itself, which gets a digest: --data FILE.",
            )
        if now != found.digest:
            raise InvalidRequest(
                f"The data set {found.name!r} has changed: {file.name} has the digest {now}, not {found.digest}.",
                hint="Put the file of before back, or evaluate on the file as it is now: --data FILE.",
                code="digest_differs",
            )


def _keeps(run: Any) -> bool:
    return tags.FILE in run.data.tags


def _uri(source: str) -> str:
    try:
        given = json.loads(source or "{}")
    except ValueError:
        return ""
    found = given.get("uri") or given.get("url") or "" if isinstance(given, dict) else ""
    # An address with a scheme other than file is loaded by MLflow.
    return str(found) if urlsplit(str(found)).scheme in ("", "file") else ""


def _profile(dataset: Any) -> dict[str, Any]:
    try:
        found = json.loads(dataset.profile or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _check_format(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in FORMATS:
        raise InvalidRequest(
            f"{file.name} is not a table that can be read.", hint="Give a file " + ", ".join(FORMATS) + "."
        )
    return suffix


def _frame(file: Path, id: str | None) -> Frame:
    """Read the file. Ids of text files stay texts, so that 007 is not 7; None: read all as pandas does."""
    import pandas as pd  # type: ignore[import-untyped]

    suffix = _check_format(file)
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(file)
        elif suffix in (".csv", ".tsv"):
            separator = "\t" if suffix == ".tsv" else ","
            columns = pd.read_csv(file, sep=separator, nrows=0).columns
            named = "id" if id == "" else id
            texts = {named: str} if named in columns else None
            frame = pd.read_csv(file, sep=separator, dtype=texts)
        else:
            frame = pd.read_json(file, lines=suffix != ".json", dtype=False, convert_dates=False)
    except GenOpsError:
        raise
    except Exception as error:  # each reader of pandas has errors of its own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidRequest(
            f"Cannot read {file.name}: {first[:300]}.", hint=f"Check that it is a whole {suffix} file."
        ) from error
    frame.columns = [str(name) for name in frame.columns]
    if frame.empty:
        raise InvalidRequest(f"{file.name} has no rows.", hint="Give a file with rows.")
    double = sorted({name for name in frame.columns if list(frame.columns).count(name) > 1})
    if double:
        raise InvalidRequest(
            f"{file.name} has the column {double[0]!r} twice.", hint="Rename one of the columns."
        )
    return frame


def _with_columns(found: DataSet, named: DataSet, frame: Frame) -> DataSet:
    from msgspec.structs import replace

    columns = list(frame.columns)
    known = {key: found.profile.get(key) for key in ("id", "label", "groups")}
    id = named.id or str(known["id"] or "") or ("id" if "id" in columns else "")
    label = (
        named.label or str(known["label"] or "") or next((each for each in _LABELS if each in columns), "")
    )
    groups = named.groups or [str(each) for each in known["groups"] or []]
    for what, name in [("id", id), ("label", label), *(("group", each) for each in groups)]:
        if name and name not in columns:
            raise InvalidRequest(
                f"The data set {found.name!r} has no column {name!r} (--{what}).",
                hint=f"Its columns are: {', '.join(columns[:_SHOWN])}{', …' if len(columns) > _SHOWN else ''}.",
            )
    if not label:
        raise InvalidRequest(
            f"The label of the data set {found.name!r} is unknown.",
            hint=f"Name its column: --label COLUMN. The columns are: {', '.join(columns[:_SHOWN])}.",
            code="label_unknown",
            details={"columns": columns[:200]},
        )
    profile = {**found.profile, "rows": len(frame), "id": id, "label": label, "groups": groups}
    return replace(found, id=id, label=label, groups=groups, rows=len(frame), profile=profile)


def _roles(chosen: DataSet, frame: Frame) -> Frame:
    """Return ids, labels and groups, checked."""
    import pandas as pd

    from genops_lab.evaluations.predictions import of_texts, of_values, refuse_double

    ids = of_texts(frame[chosen.id] if chosen.id else range(len(frame)))
    missing = sum(each is None for each in ids)
    if missing:
        raise InvalidRequest(
            f"{missing:,} of {len(ids):,} rows of {chosen.name!r} have no id in the column {chosen.id!r}.",
            hint="Fill the ids, or name another column with --id.",
        )
    refuse_double(ids, f"the data set {chosen.name!r}")
    labels = of_values(frame[chosen.label])
    groups = {f"group.{name}": of_texts(frame[name]) for name in chosen.groups}
    return pd.DataFrame({"id": ids, "label": labels, **groups})
