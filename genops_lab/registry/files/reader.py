"""Read what a model's files say: one pass over all files, then the answers of the known ones together."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import messages, mlmodel, snapshots
from .folder import Entry, entries
from .judged import Header, Judged, code, data, refused, unknown, worse
from .judging import judge
from .models import VERDICTS, FileFacts, ModelFacts, ModelField, ModelSignature, Verdict
from .source import Budget, Damaged, File, Memory, Source, TooLarge

MAX_SHOWN_FILES = 500
MAX_REQUIREMENTS = 500
MAX_EXAMPLE = 2_000
MAX_SMALL = 2_000_000
#: Files that say something about the model, by their base name.
SMALL = frozenset(["MLmodel", "requirements.txt", "config.json", "adapter_config.json", "README.md"])
INDEX = ".index.json"
_PICKLE_NAME = re.compile(r"\.(pkl|pickle|p|joblib|cloudpickle|dill|pth|pt|ckpt)$", re.IGNORECASE)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass
class Inspected:
    """The verdicts on all files, by path, and the content of the small known ones."""

    judged: dict[str, Judged] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)
    complete: bool = True

    @property
    def holds_pickle(self) -> bool:
        """Whether Python's unpickler reads one of the files."""
        return any(each.pickle for each in self.judged.values())


def inspect(root: Path, shared: Collection[tuple[int, int]] = ()) -> Inspected:
    """Judge all files of a folder; ``shared`` as in :func:`entries`. Blocks. Raises OSError."""
    found, more = entries(root, shared)
    return _inspected(root, found, complete=not more)


def inspect_file(file: Path) -> Inspected:
    """Judge one file, as a folder that has it alone. Blocks. Raises OSError."""
    state = file.stat()
    entry = Entry(path=file.name, size=state.st_size, changed_ns=state.st_mtime_ns)
    return _inspected(file.parent, [entry], complete=True)


def _inspected(root: Path, found: list[Entry], *, complete: bool) -> Inspected:
    inspected = Inspected(complete=complete)
    budget = Budget()
    for entry in sorted(found, key=lambda each: not is_small(each.path)):
        inspected.sizes[entry.path] = entry.size
        inspected.judged[entry.path] = _judge_entry(root, entry, budget, inspected)
    _relate(inspected)
    return inspected


def inspect_listing(sizes: dict[str, int], small: dict[str, bytes], *, complete: bool) -> Inspected:
    """Judge files of which only the small ones were fetched; the others by their names."""
    inspected = Inspected(sizes=sizes, complete=complete and sizes.keys() <= small.keys())
    budget = Budget()
    for path in sizes:
        if path in small:
            inspected.judged[path] = _judge_source(Memory(small[path], budget), path, inspected)
        elif _PICKLE_NAME.search(path):
            inspected.judged[path] = code(
                "pickle", "It is named like a pickle. It was not read.", pickle=True
            )
        else:
            inspected.judged[path] = unknown("not read", "It was not read: it is on another machine.")
    _relate(inspected)
    return inspected


def read_model(root: Path) -> ModelFacts:
    """Return what the files of a folder say about their model. Blocks. Raises OSError."""
    return facts(inspect(root))


def stamp(root: Path) -> str:
    """Return a text that changes with the names, sizes and times of a folder's files. Raises OSError."""
    found, _ = entries(root)
    listing = "\n".join(f"{each.path}\0{each.size}\0{each.changed_ns}\0{each.problem}" for each in found)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def is_small(path: str) -> bool:
    """Return whether a file by its name says something about the model, and is small."""
    name = posixpath.basename(path)
    return name in SMALL or name.endswith((INDEX, "input_example.json"))


def _judge_entry(root: Path, entry: Entry, budget: Budget, inspected: Inspected) -> Judged:
    if entry.problem:
        return refused("not read", entry.problem)
    try:
        with File(root, entry.path, budget) as source:
            return _judge_source(source, entry.path, inspected)
    except Damaged as error:
        return refused("not read", str(error))
    except OSError as error:
        return unknown("not read", f"It cannot be read: {error.strerror}.")


def _judge_source(source: Source, path: str, inspected: Inspected) -> Judged:
    found = judge(source, path)
    if is_small(path) and source.size <= MAX_SMALL and found.verdict != "refused":
        try:
            inspected.small[path] = source.read(0, source.size)
        except (Damaged, TooLarge):
            return found
        if posixpath.basename(path) == "MLmodel":
            by_mlmodel, _ = mlmodel.describe(inspected.small[path])
            return by_mlmodel if worse(by_mlmodel.verdict, found.verdict) == by_mlmodel.verdict else found
    elif posixpath.basename(path) == "MLmodel" and source.size > MAX_SMALL:
        return refused(mlmodel.FORMAT, f"It is larger than {MAX_SMALL:,} bytes.")
    return found


def _relate(inspected: Inspected) -> None:
    """Check what files say about each other: weights of ONNX, and indexes of shards."""
    for path, found in list(inspected.judged.items()):
        if found.header is None or not found.header.externals:
            continue
        folder = posixpath.dirname(path)
        for location, end in found.header.externals:
            place = posixpath.normpath(posixpath.join(folder, location))
            size = inspected.sizes.get(place)
            if size is None or inspected.judged[place].verdict == "refused":
                reason = f"Its weights lie in {location[:80]!r}, which is no plain file of the model."
                inspected.judged[path] = replace(found, verdict="refused", reason=reason)
            elif size < end:
                reason = f"Its weights lie in {location[:80]!r}, which ends too early."
                inspected.judged[path] = replace(found, verdict="refused", reason=reason)
            elif inspected.judged[place].verdict == "unknown":
                inspected.judged[place] = data("ONNX weights")
    for path, content in list(inspected.small.items()):
        if path.endswith(INDEX):
            problem = _index_problem(path, content, inspected.sizes)
            if problem:
                inspected.judged[path] = refused("JSON", problem)


def _index_problem(path: str, content: bytes, sizes: dict[str, int]) -> str:
    try:
        shards = snapshots.shards_of(content)
    except Damaged as error:
        return str(error)
    folder = posixpath.dirname(path)
    for shard in shards:
        if posixpath.join(folder, shard) not in sizes or ".." in shard.split("/"):
            return f"It names {shard[:80]!r}, which is no file of the model."
    return ""


def facts(inspected: Inspected) -> ModelFacts:
    """Return what the inspected files say together."""
    files = sorted(
        (
            FileFacts(
                path=_shown(path),
                size_bytes=inspected.sizes[path],
                format=each.format,
                verdict=each.verdict,
                reason=_shown(each.reason),
            )
            for path, each in inspected.judged.items()
        ),
        key=lambda each: (-VERDICTS.index(each.verdict), each.path),
    )
    verdict: Verdict = files[0].verdict if files else "unknown"
    if not inspected.complete:
        verdict = worse(verdict, "unknown")
    described = _description(inspected)
    stated, packed, problems = _stated(inspected)
    headers = [*stated, *(each.header for each in inspected.judged.values() if each.header)]
    dtypes, quantization = _weights(inspected)
    return ModelFacts(
        verdict=verdict,
        headline=messages.headline(files, complete=inspected.complete),
        advice=messages.advice(files, verdict, described.flavors),
        formats=_formats(inspected, described.flavors),
        size_bytes=sum(inspected.sizes.values()),
        file_count=len(files),
        files=files[:MAX_SHOWN_FILES],
        parameters=sum(dtypes.values()) or None if not packed else None,
        dtypes=dtypes,
        quantization=_shown(quantization or _first(each.quantization for each in stated)),
        architecture=_shown(_first(each.architecture for each in headers)),
        context_length=next((each.context_length for each in headers if each.context_length), None),
        flavors=[_shown(each) for each in described.flavors],
        signature=described.signature or _graph_signature(inspected),
        input_example=_example(inspected, described.example_path),
        requirements=_requirements(inspected),
        licence=_shown(_first(each.licence for each in headers)),
        base_model=_shown(_first([*(each.base_model for each in headers), described.base_model])),
        problems=[_shown(each) for each in problems],
        complete=inspected.complete,
    )


def _shown(text: str) -> str:
    """Return a text that can be printed and sent: names in files may be any bytes."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _first(texts: Iterable[str]) -> str:
    return next((each for each in texts if each), "")


def _smallest(inspected: Inspected, name: str) -> bytes | None:
    """Return the content of the known file of this name that is nearest to the top."""
    paths = [path for path in inspected.small if posixpath.basename(path) == name]
    return inspected.small[min(paths, key=lambda path: (path.count("/"), path))] if paths else None


def _description(inspected: Inspected) -> mlmodel.Description:
    content = inspected.small.get("MLmodel")
    return mlmodel.Description() if content is None else mlmodel.describe(content)[1]


def _stated(inspected: Inspected) -> tuple[list[Header], bool, list[str]]:
    """Return what configurations and cards say, whether weights are packed, and problems."""
    found: list[Header] = []
    problems: list[str] = []
    packed = False
    for name in ("adapter_config.json", "README.md", "config.json"):
        content = _smallest(inspected, name)
        if content is None:
            continue
        try:
            if name == "config.json":
                header, packed = snapshots.of_config(content)
            else:
                header = (snapshots.of_adapter if name.startswith("adapter") else snapshots.of_card)(content)
            found.append(header)
        except Damaged as error:
            problems.append(f"{name}: {error}")
    return found, packed, problems


def _weights(inspected: Inspected) -> tuple[dict[str, int], str]:
    """Return the values of the model's weights by type, and their quantisation.

    A folder may have the same model in several formats: the first of safetensors, GGUF and ONNX counts.
    """
    by_format: dict[str, dict[str, Header]] = {}
    for path, each in inspected.judged.items():
        if each.header and each.verdict != "refused":
            by_format.setdefault(each.format, {})[path] = each.header
    shards = _sharded(inspected)
    safetensors = {
        path: header
        for path, header in by_format.get("safetensors", {}).items()
        if posixpath.dirname(path) not in shards or path in shards[posixpath.dirname(path)]
    }
    if safetensors:
        return _sum(safetensors.values()), ""
    if "GGUF" in by_format:
        groups: dict[str, list[Header]] = {}
        for path, header in by_format["GGUF"].items():
            groups.setdefault(_SHARD.sub("", path.removesuffix(".gguf")), []).append(header)
        largest = max(groups.values(), key=lambda group: sum(_sum(group).values()))
        names = sorted({each.quantization for each in by_format["GGUF"].values() if each.quantization})
        return _sum(largest), ", ".join(names[:5])
    graphs = by_format.get("ONNX", {})
    return (_sum(graphs.values()) if len(graphs) == 1 else {}), ""


def _sharded(inspected: Inspected) -> dict[str, set[str]]:
    """Return the shards that an index names, by folder."""
    found: dict[str, set[str]] = {}
    for path, content in inspected.small.items():
        if path.endswith(f".safetensors{INDEX}") and inspected.judged[path].verdict != "refused":
            folder = posixpath.dirname(path)
            named = {posixpath.join(folder, each) for each in snapshots.shards_of(content)}
            found.setdefault(folder, set()).update(named)
    return found


def _sum(headers: Iterable[Header]) -> dict[str, int]:
    whole: dict[str, int] = {}
    for header in headers:
        for dtype, count in header.dtypes.items():
            whole[dtype] = whole.get(dtype, 0) + count
    return dict(sorted(whole.items(), key=lambda each: -each[1]))


def _formats(inspected: Inspected, flavors: list[str]) -> list[str]:
    """Return the formats of the model itself, without those of texts and pictures beside it."""
    beside = {
        "text",
        "JSON",
        "YAML",
        "empty",
        "PNG",
        "JPEG",
        "GIF",
        "MLmodel",
        "ONNX weights",
        "not read",
        "binary",
    }
    sizes: dict[str, int] = {}
    for path, each in inspected.judged.items():
        if each.format not in beside:
            sizes[each.format] = sizes.get(each.format, 0) + inspected.sizes[path]
    return sorted(sizes, key=lambda each: -sizes[each])[:8] or flavors[:1]


def _graph_signature(inspected: Inspected) -> ModelSignature | None:
    graphs = [each.header for each in inspected.judged.values() if each.header and each.header.inputs]
    if len(graphs) != 1:
        return None
    shown = [
        [ModelField(name=_shown(each.name), type=_shown(each.type)) for each in fields]
        for fields in (graphs[0].inputs, graphs[0].outputs)
    ]
    return ModelSignature(inputs=shown[0], outputs=shown[1])


def _example(inspected: Inspected, path: str) -> str:
    found = inspected.small.get(path, b"")[:MAX_EXAMPLE].decode("utf-8", "replace")
    return "".join(each for each in found if each.isprintable() or each == "\n")


def _requirements(inspected: Inspected) -> list[str]:
    lines = inspected.small.get("requirements.txt", b"").decode("utf-8", "replace").splitlines()
    stripped = (line.strip() for line in lines)
    return [_shown(line[:200]) for line in stripped if line and not line.startswith("#")][:MAX_REQUIREMENTS]
