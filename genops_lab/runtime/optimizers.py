"""Log step time, learning rate and gradient norm of torch's optimizers, without a line of the user's.

torch is never imported here. Its global hook for optimizer steps is used once torch is imported, so
optimizers that were made before the run count as well.

Only some steps are read: reading takes less than 1 % of the time. The norm is fetched from a GPU only when it
is ready, so the training does not wait.
"""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional

from .imports import when_imported
from .steps import GRADIENT_NORM, LEARNING_RATE, STEP_TIME

if TYPE_CHECKING:
    from .run import Run

_MODULE = "torch.optim.optimizer"
#: Share of the time that reading may take.
SHARE = 0.01
#: Largest distance of points in seconds. At first points are closer: 1 % of the time so far.
LONGEST_GAP_S = 1.0
MAX_GROUPS = 10
MAX_OPTIMIZERS = 8
_FLAT = "_is_flat_param"


class _Reading(NamedTuple):
    """A norm on its way from the device; ``skipped`` is the gradient scaler's mark of a skipped step."""

    step: int
    at: float
    values: Dict[str, float]
    norm: Any
    skipped: Any
    ready: Optional[Any]


class _Followed:
    """One optimizer."""

    def __init__(self, prefix: str, first_step: int) -> None:
        self.prefix = prefix
        self.step = first_step
        self.counted = 0
        self.last_at = self.started_at = self.last_step_at = 0.0
        self.cost_s = 0.0
        self.waiting: List[_Reading] = []


class OptimizerHooks:
    """Logs the steps of this process's optimizers to one run, until it is closed."""

    def __init__(self, run: Run, first_step: int = 0) -> None:
        self._run = run
        self._first_step = first_step
        self._followed: "weakref.WeakKeyDictionary[Any, _Followed]" = weakref.WeakKeyDictionary()
        self._made = 0
        self._handle: Any = None
        self._torch: Any = None
        self._closed = False
        self._forget = when_imported(_MODULE, self._attach)

    def _attach(self, module: Any) -> None:
        register = getattr(module, "register_optimizer_step_post_hook", None)
        if register is not None and not self._closed:  # torch 2.0 and later
            self._torch = sys.modules["torch"]
            self._handle = register(self._stepped)

    def close(self) -> None:
        """Log the readings that are on their way, and stop."""
        self._closed = True
        self._forget()
        if self._handle is not None:
            self._handle.remove()
        for followed in list(self._followed.values()):
            self._guarded(lambda one=followed: self._arrived(one, last=True))  # type: ignore[misc]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # the boundary: an unreadable optimizer must not cost the training
            self._closed = True
            if not self._run.ended:
                print(f"GenOps: stopped logging optimizer metrics: {error!r}", file=sys.stderr)

    def _stepped(self, optimizer: Any, _arguments: Any, _options: Any) -> None:
        if self._closed or self._is_compiling():
            return
        now = time.perf_counter()
        followed = self._followed.get(optimizer)
        if followed is None:
            if self._made >= MAX_OPTIMIZERS or self._run is not _innermost():
                return
            self._made += 1
            prefix = "train/" if self._made == 1 else f"train/optimizer_{self._made}/"
            followed = self._followed[optimizer] = _Followed(prefix, self._first_step)
            followed.started_at = followed.last_step_at = now
        elif self._run is not _innermost():
            followed.counted, followed.last_step_at = 1, now
            return
        followed.counted += 1
        if followed.counted == 1 or self._is_due(followed, now):
            self._guarded(lambda: self._read(optimizer, followed, now))
            followed.cost_s += time.perf_counter() - now
        followed.step += 1

    def _is_compiling(self) -> bool:
        compiler = getattr(self._torch, "compiler", None)
        return compiler is not None and bool(getattr(compiler, "is_compiling", bool)())

    @staticmethod
    def _is_due(followed: _Followed, now: float) -> bool:
        elapsed = now - followed.started_at
        gap = min(LONGEST_GAP_S, elapsed * SHARE)
        return now - followed.last_at >= gap and followed.cost_s <= SHARE * elapsed

    def _read(self, optimizer: Any, followed: _Followed, now: float) -> None:
        self._arrived(followed)
        values: Dict[str, float] = {}
        if followed.counted > 1:
            values[STEP_TIME] = 1000.0 * (now - followed.last_step_at) / (followed.counted - 1)
        groups = optimizer.param_groups
        for index, group in enumerate(groups[:MAX_GROUPS]):
            rate = group.get("lr")
            name = LEARNING_RATE if len(groups) == 1 else f"{LEARNING_RATE}/{_group_name(group, index)}"
            if isinstance(rate, (int, float)):
                values[name] = float(rate)
            elif getattr(getattr(rate, "device", None), "type", "") == "cpu":
                values[name] = float(rate)  # one on another device would have to be waited for
        followed.counted, followed.last_at, followed.last_step_at = 1, now, now
        norm = self._norm(groups)
        if norm is None:
            self._log(followed, followed.step, time.time(), values)
            return
        skipped = getattr(optimizer, "found_inf", None)  # of a fused optimizer under a GradScaler
        if norm.device.type == "cpu":
            if skipped is None or not float(skipped):
                values[GRADIENT_NORM] = float(norm)
            self._log(followed, followed.step, time.time(), values)
            return
        norm, skipped = _to_host(norm), None if skipped is None else _to_host(skipped)
        event = self._torch.cuda.Event()
        event.record()
        followed.waiting.append(_Reading(followed.step, time.time(), values, norm, skipped, event))

    def _norm(self, groups: List[Dict[str, Any]]) -> Any:
        """Return the norm of all gradients together, on their device; None if that would have to wait."""
        torch = self._torch
        parameters = [each for group in groups for each in group["params"] if each.grad is not None]
        gradients = [each.grad for each in parameters]
        if not gradients or any(getattr(each, _FLAT, False) for each in parameters):
            return None  # FSDP: a part of the model
        first = gradients[0].device
        if first.type not in ("cpu", "cuda") or (
            first.type == "cuda" and torch.cuda.is_current_stream_capturing()
        ):
            return None
        for each in gradients:
            # A DTensor's norm is a collective, which all processes would have to make at the same step.
            if type(each) is not torch.Tensor or each.is_sparse or each.device != first:
                return None
        with torch.no_grad():
            norms = torch._foreach_norm(gradients)
            return torch.linalg.vector_norm(torch.stack([each.float() for each in norms]))

    def _arrived(self, followed: _Followed, *, last: bool = False) -> None:
        while followed.waiting:
            first = followed.waiting[0]
            if not first.ready.query():  # type: ignore[union-attr]
                if not last:
                    return
                first.ready.synchronize()  # type: ignore[union-attr]
            followed.waiting.pop(0)
            values = dict(first.values)
            if first.skipped is None or not float(first.skipped):
                values[GRADIENT_NORM] = float(first.norm)
            self._log(followed, first.step, first.at, values)

    def _log(self, followed: _Followed, step: int, at: float, values: Dict[str, float]) -> None:
        self._run.log_auto({followed.prefix + name: value for name, value in values.items()}, step, at)


def _group_name(group: Dict[str, Any], index: int) -> str:
    name = group.get("name")
    return name if isinstance(name, str) and name else f"group_{index}"


def _to_host(value: Any) -> Any:
    """Start a copy to pinned memory, which the device makes in its own time."""
    detached = value.detach().float().reshape(())
    host = detached.new_empty((), device="cpu", pin_memory=True)
    host.copy_(detached, non_blocking=True)
    return host


def _innermost() -> "Optional[Run]":
    from .state import runs

    return runs.current
