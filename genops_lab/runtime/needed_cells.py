"""Find the earlier cells that make the names that a cell reads, and the cells that those need.

Only the cells' text is read. Imports, seeds and settings of libraries are always needed: they decide what the
rest does, and cost little.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Sequence, Set

from .outer_names import bound_by, root_of

#: `genops` too: every trial's kernel has it by ``%load_ext``.
_BUILTINS = frozenset(dir(builtins)) | {
    *("get_ipython", "display", "In", "Out", "_", "__name__", "__file__", "genops"),
}
_SEEDS = ("seed", "manual_seed", "manual_seed_all", "seed_all", "seed_everything", "set_seed", "default_rng")
_LINE_MAGICS = ("env", "set_env", "cd", "load_ext", "reload_ext", "autoreload", "matplotlib", "config")
#: Cell magics with Python in their cell.
_PYTHON_MAGICS = ("%%time", "%%capture", "%%prun")


class EarlierCell(NamedTuple):
    """A cell that ran before. ``kept_out`` says why it must not run unasked; empty if it may."""

    label: str
    source: str
    kept_out: str = ""


class Needed(NamedTuple):
    """The cells that run first, in order, and those that are left out.

    ``whole`` and ``in_part`` are labels. ``sources`` has the labels and texts of both, in order. ``missing``
    maps names that only left-out cells make to those cells' labels.
    """

    sources: "List[tuple[str, str]]"
    whole: List[str]
    in_part: List[str]
    left_out: List[str]
    missing: "Dict[str, str]"


def needed_cells(
    earlier: Sequence[EarlierCell], cell: str, given: Sequence[str], transform: Callable[[str], str]
) -> Needed:
    """Return which of the ``earlier`` cells ``cell`` needs.

    ``given`` names are set otherwise. ``transform`` makes Python of a cell, as IPython's ``transform_cell``
    does.
    """
    texts = [_Text(one.source, transform) for one in earlier]
    modules = frozenset().union(*(text.imported for text in texts))
    wanted = _Text(cell, transform).free - _BUILTINS - set(given)
    taken = {
        index
        for index, text in enumerate(texts)
        if not text.is_python and text.is_plain and not earlier[index].kept_out
    }
    while True:
        more = {
            index
            for index, text in enumerate(texts)
            if index not in taken and not earlier[index].kept_out and text.touched(modules) & wanted
        }
        if not more:
            break
        taken |= more
        for index in more:
            wanted |= texts[index].free - _BUILTINS
    return _chosen(earlier, texts, taken, wanted, modules)


def _chosen(
    earlier: Sequence[EarlierCell],
    texts: "Sequence[_Text]",
    taken: Set[int],
    wanted: Set[str],
    modules: FrozenSet[str],
) -> Needed:
    found = Needed([], [], [], [], {})
    for index, (one, text) in enumerate(zip(earlier, texts)):  # noqa: B905  # Python 3.8
        if index in taken:
            found.whole.append(one.label)
            found.sources.append((one.label, one.source))
            continue
        settings = text.settings(modules)
        if settings:
            found.in_part.append(one.label)
            found.sources.append((f"{one.label} in part", settings))
        if settings != text.code or not text.is_plain:
            found.left_out.append(f"{one.label} {one.kept_out}".rstrip())
    made = set().union(*(texts[index].touched(modules) for index in taken)) if taken else set()
    for index, (one, text) in enumerate(zip(earlier, texts)):  # noqa: B905  # Python 3.8
        if index not in taken:
            for name in sorted((text.touched(modules) & wanted) - made - text.imported):
                found.missing.setdefault(name, one.label)
    return found


class _Text:
    """One cell's text, parsed if it is Python."""

    def __init__(self, source: str, transform: Callable[[str], str]) -> None:
        lines = source.lstrip("\n").splitlines(keepends=True)
        while lines and lines[0].startswith(_PYTHON_MAGICS):
            del lines[0]
        #: Cells of other languages have no names.
        self.is_plain = not (lines and lines[0].startswith("%%"))
        self.is_python = False
        self.code = ""
        self._body: List[ast.stmt] = []
        self.free: Set[str] = set()
        self.imported: Set[str] = set()
        self._bound: Set[str] = set()
        if not self.is_plain:
            return
        try:
            self.code = transform("".join(lines)).rstrip("\n")
            self._body = ast.parse(self.code).body
            table = symtable.symtable(self.code, "<cell>", "exec")
        except (SyntaxError, ValueError):
            return
        self.is_python = True
        self.imported = {name for one in self._body if _is_import(one) for name in bound_by(one)}
        self._bound = {
            one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()
        }
        there = {one.get_name() for one in table.get_symbols()}  # not the names of comprehensions
        in_functions = _globals_of(table)
        self._bound |= _globals_set_in(table)
        self.free = (in_functions - self._bound) | (_read_before_made(self._body, set()) & there)

    def touched(self, modules: FrozenSet[str]) -> Set[str]:
        """Return the names that the cell makes or changes; assignments in a module are settings."""
        found = set(self._bound)
        for node in (node for one in self._body for node in ast.walk(one)):
            if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(
                node.ctx, (ast.Store, ast.Del)
            ):
                found.add(root_of(node))
            elif (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Call)
                and isinstance(node.value.func, ast.Attribute)
            ):
                found.add(root_of(node.value.func))
        return found - (modules - self._bound) - {""}

    def settings(self, modules: FrozenSet[str]) -> str:
        """Return the cell's imports, seeds, environment variables and settings of modules, as lines."""
        kept = [one for one in self._body if _is_import(one) or _is_setting(one, modules)]
        if len(kept) == len(self._body):
            return self.code
        return "\n".join(ast.get_source_segment(self.code, one) or "" for one in kept)


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Import, ast.ImportFrom))


def _is_setting(statement: ast.stmt, modules: FrozenSet[str]) -> bool:
    if isinstance(statement, (ast.Assign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return all(
            isinstance(one, (ast.Attribute, ast.Subscript)) and root_of(one) in modules for one in targets
        )
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    call = statement.value
    dotted = ast.unparse(call.func) if hasattr(ast, "unparse") else _dotted(call.func)
    last = dotted.rpartition(".")[2]
    if dotted == "get_ipython().run_line_magic":
        first = call.args[0]
        return isinstance(first, ast.Constant) and first.value in _LINE_MAGICS
    if last in _SEEDS:
        return True
    in_module = root_of(call.func) in modules
    return in_module and (last.startswith("set_") or ".environ." in dotted or ".path." in dotted)


def _dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` on Python before 3.9."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{_dotted(node.func)}()"
    return node.id if isinstance(node, ast.Name) else ""


def _globals_of(table: symtable.SymbolTable) -> Set[str]:
    """Return the names of the cell's outermost scope that its functions, classes and comprehensions read."""
    found: Set[str] = set()
    for child in table.get_children():
        found |= {one.get_name() for one in child.get_symbols() if one.is_global() and one.is_referenced()}
        found |= _globals_of(child)
    return found


def _globals_set_in(table: symtable.SymbolTable) -> Set[str]:
    found: Set[str] = set()
    for child in table.get_children():
        found |= {
            one.get_name() for one in child.get_symbols() if one.is_declared_global() and one.is_assigned()
        }
        found |= _globals_set_in(child)
    return found


def _read_before_made(body: Sequence[ast.stmt], made: Set[str]) -> Set[str]:
    """Return the names that statements read before they certainly make them; ``made`` grows."""
    found: Set[str] = set()
    for one in body:
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            pass  # their bodies are scopes, which are read separately
        elif isinstance(one, (ast.For, ast.AsyncFor)):
            found |= _loads(one.iter) - made
            made |= bound_by(one)
            found |= _read_before_made([*one.body, *one.orelse], made)
        elif isinstance(one, (ast.If, ast.While)):
            found |= _loads(one.test) - made
            for branch in (one.body, one.orelse):
                found |= _read_before_made(branch, set(made))
        elif isinstance(one, (ast.With, ast.AsyncWith)):
            for item in one.items:
                found |= _loads(item.context_expr) - made
                made |= {
                    node.id
                    for node in ast.walk(item.optional_vars or ast.Pass())
                    if isinstance(node, ast.Name)
                }
            found |= _read_before_made(one.body, made)
        elif isinstance(one, ast.Try):
            found |= _read_before_made([*one.body, *one.orelse, *one.finalbody], made)
            for handler in one.handlers:
                found |= _read_before_made(handler.body, set(made) | {handler.name or ""})
        else:
            reads = _loads(one)
            if isinstance(one, ast.AugAssign):
                reads |= {root_of(one.target)}
            found |= reads - made
        made |= bound_by(one)
    return found


def _loads(node: ast.AST) -> Set[str]:
    return {
        one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Store)
    }
