"""The backward pass: which operators are of it, and of which forward operator each is the gradient.

Autograd numbers the nodes of its graph as they are made, a thread at a time. A forward operator carries the number
that the next node will have, the backward operator that of its own: so they meet in ``Sequence number``. An operator
that made no node has the number of the next one, so the last operator with a number before the backward pass made it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..columns import NOTHING, Bools, Columns, Int32, Int64, present
from ..kinds import Kind

EVALUATES = "autograd::engine::evaluate_function: "
#: Of the operators with a node's number so many are compared with its name, from the last one on.
COMPARED = 12

_NODE = re.compile(r"(?P<name>.+?)Backward\d*")
#: Derivatives whose nodes are not called like the operator that makes them.
_OTHERWISE = {
    "nllloss": "crossentropy",
    "copyslices": "copy",
    "compiledfunction": "compiledfunction",
    "mkldnnconvolution": "convolution",
    "slowconv2d": "conv2d",
}
#: A node of C++ (``CppNode<...>``) has a name of its own.
_CPP_NODE = re.compile(r"CppNode<")


@dataclass(frozen=True)
class Backward:
    """Operators of the backward pass (rising) and their forward operators, NOTHING where that is not known."""

    operators: Int64
    forward: Int64
    #: Lanes of autograd's own threads: between two nodes they sum the gradients of the first.
    threads: Int32


def backward(columns: Columns) -> Backward:
    """The operators that evaluate nodes of the graph."""
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
    """The makers of the numbers wanted, from the one thread that has most of them: counters are a thread's own."""
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
    # What came after the backward operator has another node's number (they are reused by threads that are). Makers of
    # one number rise, so a number's first place and the maker together are in order.
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
    """Whether a forward operator is called like the node."""

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
    """``Addmm`` of ``autograd::engine::evaluate_function: AddmmBackward0``; None for what is no node."""
    found = _NODE.fullmatch(name.removeprefix(EVALUATES))
    return found["name"].rpartition("::")[2] if found and " " not in found["name"] else None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
