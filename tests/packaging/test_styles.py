"""The style files of the front end: each is loaded, and before what it is for."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
STYLE, SOURCE = ROOT / "style", ROOT / "src"
STATIC = re.compile(r"^(?:import(?! type)|export(?! type))\b(?:([^;'\"=(]*)\bfrom)?\s*'([^']+)'", re.M)
ALL_OF = re.compile(r"^export \* from '([^']+)'", re.M)
DECLARED = re.compile(r"^export (?:abstract |async )*(?:class|function|const|namespace) (\w+)", re.M)
DYNAMIC = re.compile(r"\bimport\('([^']+)'\)")
CLASS = re.compile(r"\bgol-(?!mod-)[A-Za-z0-9-]+")


def with_imports(style: Path) -> set[Path]:
    """A style file and those that it imports."""
    imported = re.findall(r"@import\s+(?:url\()?['\"]([^'\"]+\.css)", style.read_text())
    return {style}.union(*(with_imports((style.parent / each).resolve()) for each in imported))


def resolved(module: Path, name: str) -> Path | None:
    """The file of ours that a module imports."""
    if not name.startswith("."):
        return None
    place = (module.parent / name).resolve()
    tries = [place, *(place.with_name(place.name + end) for end in (".ts", ".tsx")), place / "index.ts"]
    return next((each for each in tries if each.is_file()), None)


@cache
def exported(index: Path) -> dict[str, Path]:
    """The module of each name that an index passes on."""
    found: dict[str, Path] = {}
    for module in filter(None, (resolved(index, name) for name in ALL_OF.findall(index.read_text()))):
        if module.name == "index.ts":
            found |= exported(module)
        else:
            found |= dict.fromkeys(DECLARED.findall(module.read_text(encoding="utf-8")), module)
    return found


@cache
def imports(module: Path) -> frozenset[Path]:
    """The files of ours that come with a module; of an index those that it takes: the bundler leaves out the rest."""
    found: set[Path] = set()
    for names, name in STATIC.findall(module.read_text(encoding="utf-8")):
        file = resolved(module, name)
        if file is not None and file.name == "index.ts" and exported(file):
            taken = {each.split(" as ")[0].strip() for each in names.strip(" {}\n").split(",")}
            found |= {exported(file)[each] for each in taken & exported(file).keys()}
        elif file is not None:
            found.add(file)
    return frozenset(found)


@cache
def later(module: Path) -> frozenset[Path]:
    """The modules that a module loads while it runs."""
    names = DYNAMIC.findall(module.read_text(encoding="utf-8"))
    return frozenset(file for name in names if (file := resolved(module, name)))


def loaded_together(entry: Path) -> tuple[set[Path], set[Path]]:
    """The modules and the style files that come with a module."""
    modules, styles, left = set[Path](), set[Path](), [entry]
    while left:
        each = left.pop()
        if each.suffix == ".css":
            styles |= with_imports(each)
        elif each not in modules:
            modules.add(each)
            left.extend(imports(each))
    return modules, styles


def chunks() -> dict[Path, tuple[set[Path], set[Path]]]:
    """Return the modules that load at start and with each later import, with all styles that are loaded by then."""
    start = SOURCE / "index.ts"
    found = {start: loaded_together(start)}
    left = [start]
    while left:
        for module in found[left.pop()][0]:
            for entry in later(module) - found.keys():
                found[entry] = loaded_together(entry)
                left.append(entry)
    base = with_imports(STYLE / "index.css")
    own = {entry: styles | base for entry, (_, styles) in found.items()}
    there = {entry: set(STYLE.rglob("*.css")) for entry in found}
    there[start] = own[start]
    while True:  # what comes before a chunk on each way to it
        before = {
            entry: set.intersection(
                *(
                    there[parent]
                    for parent, (modules, _) in found.items()
                    if any(entry in later(module) for module in modules)
                )
            )
            for entry in found.keys() - {start}
        }
        changed = {start: own[start], **{entry: own[entry] | before[entry] for entry in before}}
        if changed == there:
            return {entry: (modules, there[entry]) for entry, (modules, _) in found.items()}
        there = changed


def styled() -> dict[str, set[Path]]:
    """The files that style each class by itself."""
    found: dict[str, set[Path]] = {}
    for style in STYLE.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", style.read_text(), flags=re.S)
        for selector in re.findall(r"[^{},]+(?=[,{])", text):
            names = CLASS.findall(selector)
            if len(names) == 1:
                found.setdefault(names[0], set()).add(style)
    return found


def test_each_style_file_is_loaded() -> None:
    imported = {style for _, styles in chunks().values() for style in styles}
    assert {each.relative_to(STYLE) for each in set(STYLE.rglob("*.css")) - imported} == set()


def test_a_view_comes_with_its_style() -> None:
    files, found = styled(), chunks()
    at_start = found[SOURCE / "index.ts"][0]
    bare = {
        f"{module.relative_to(SOURCE)}: {name}"
        for entry, (modules, styles) in found.items()
        for module in (modules if entry.name == "index.ts" and entry.parent == SOURCE else modules - at_start)
        for name in CLASS.findall(module.read_text(encoding="utf-8"))
        if name in files and not files[name] & styles
    }
    assert sorted(bare) == []
