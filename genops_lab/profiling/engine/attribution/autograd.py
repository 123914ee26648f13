"""Find the operators of the backward pass, and the forward operator of each.

Autograd numbers the nodes of its graph in order, per thread. A forward operator has the number of the next
node; its backward operator has the number of its own node. So both have the same ``Sequence number``. An
operator that made no node has the number of the next one, so the last operator with a number before the
backward pass made the node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..columns import NOTHING, Bools, Columns, Int32, Int64, present
from ..kinds import Kind

EVALUATES = "autograd::engine::evaluate_function: "
#: Operators with a node's number that are compared with its name, from the last one.
COMPARED = 12

_NODE = re.compile(r"(?P<name>.+?)Backward\d*")
#: Derivatives whose nodes have another name than their operator.
_OTHERWISE = {
    "nllloss": "crossentropy",
    "copyslices": "copy",
    "compiledfunction": "compiledfunction",
    "mkldnnconvolution": "convolution",
    "slowconv2d": "conv2d",
}
#: A C++ node (``CppNode<...>``) has its own name.
_CPP_NODE = re.compile(r"CppNode<")


@dataclass(frozen=True)
class Backward:
    """Operators of the backward pass (sorted) and their forward operators; NOTHING where it is not known."""

    operators: Int64
    forward: Int64
    #: Lanes of autograd's own threads; between two nodes they sum the gradients of the first.
    threads: Int32


def backward(columns: Columns) -> Backward:
    """Return the operators that evaluate nodes of the graph."""
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    node_names = np.array([_of_backward(name) for name in columns.names], bool)
    sequences = columns.sparse.get("sequence")
    if sequences is None or not len(sequences):
        mine = operators[node_names[columns.name[operators]]] if len(operators) else operators
        return Backward(mine, np.full(len(mine), NOTHING, np.int64), np.unique(columns.lane[mine]))
    thread = columns.values("forward_thread", sequences.index, 0)
    given = sequences.index.astype(np.int64)
    operator = columns.kind[given] == Kind.OPERATOR
    of_node = operator & (node_names[columns.name[given]] | (thread > 0))
    made = operator & ~of_node & (thread <= 0)
    named = operators[node_names[columns.name[operators]]]
    mine = np.union1d(named, given[of_node])
    forward = np.full(len(mine), NOTHING, np.int64)
    for number in np.unique(thread[of_node]).tolist():
        asked = of_node & (thread == number)
        found = _forward(columns, sequences.value[asked], given[asked], sequences.value[made], given[made])
        forward[np.searchsorted(mine, given[asked])] = found
    threads = np.setdiff1d(columns.lane[mine], columns.lane[given[made]])
    return Backward(mine, forward, threads)


def _forward(columns: Columns, wanted: Int64, asking: Int64, numbers: Int64, makers: Int64) -> Int64:
    """Return the forward operators of the wanted numbers, on the one thread with most of them, because each
    thread has its own counter."""
    best = np.full(len(wanted), NOTHING, np.int64)
    most = 0
    for lane in present(len(columns.lanes), columns.lane[makers]).tolist():
        here = columns.lane[makers] == lane
        found = _last_named(columns, wanted, asking, numbers[here], makers[here])
        known = int((found != NOTHING).sum())
        if known > most:
            best, most = found, known
    return best


def _last_named(columns: Columns, wanted: Int64, asking: Int64, numbers: Int64, makers: Int64) -> Int64:
    order = np.argsort(numbers, kind="stable")
    numbers, makers = numbers[order], makers[order]
    low = np.searchsorted(numbers, wanted)
    last = np.searchsorted(numbers, wanted, side="right") - 1
    # Operators after the backward operator belong to another node, because threads reuse numbers. Operators
    # of one number are sorted, so the number's first position plus the operator gives a sorted key.
    size = len(columns)
    places = np.searchsorted(numbers, numbers) * size + makers
    last = np.minimum(last, np.searchsorted(places, low * size + asking, side="right") - 1)
    found = np.full(len(wanted), NOTHING, np.int64)
    names = _Names(columns.names)
    node = columns.name[asking]
    for back in range(COMPARED):
        open_ = np.flatnonzero((found == NOTHING) & (last - back >= low))
        if not len(open_):
            break
        candidate = makers[last[open_] - back]
        fits = names.fit(node[open_], columns.name[candidate])
        found[open_[fits]] = candidate[fits]
    return found


class _Names:
    """Compares names of forward operators and nodes."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def fit(self, nodes: npt.NDArray[np.int32], operators: npt.NDArray[np.int32]) -> Bools:
        pairs = nodes.astype(np.int64) * len(self._names) + operators
        present, place = np.unique(pairs, return_inverse=True)
        answers = [self._fits(*divmod(pair, len(self._names))) for pair in present.tolist()]
        return np.array(answers, bool)[place] if answers else np.zeros(0, bool)

    def _fits(self, node: int, operator: int) -> bool:
        wanted = _node(self._names[node])
        if wanted is None:
            own = not self._names[operator].startswith("aten::")
            return own and _CPP_NODE.search(self._names[node]) is not None
        wanted = _plain(wanted)
        given = _plain(self._names[operator].rpartition("::")[2])
        other = _OTHERWISE.get(wanted, wanted)
        return any(each and (given.startswith(each) or each.startswith(given)) for each in (wanted, other))


def _of_backward(name: str) -> bool:
    return name.startswith(EVALUATES) or name.endswith("::AccumulateGrad") or _node(name) is not None


def _node(name: str) -> str | None:
    """Return ``Addmm`` for ``autograd::engine::evaluate_function: AddmmBackward0``; None for other names."""
    found = _NODE.fullmatch(name.removeprefix(EVALUATES))
    return found["name"].rpartition("::")[2] if found and " " not in found["name"] else None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
