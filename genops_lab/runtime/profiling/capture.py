"""Record one cell: decide when the recording begins and ends."""

from __future__ import annotations

import functools
import statistics
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from ..errors import GenOpsError
from .line_tracing import watch
from .lines import LineMarkers
from .markers import is_ours, own_files
from .recorder import (
    Recorder,
    annotation,
    device_to_record,
    marker,
    refuse_second,
    resident_bytes,
    torch_profiler,
    warmed_up,
)
from .recording_options import Recording, RecordingOptions
from .slices import OpenSlices, inside_torch, is_of_torch
from .steps import COMPARED
from .upload import expected, finished, write_trace

_LOOK_EVERY_S = 0.05
#: Seconds until lines are traced again, after tracing was off.
_WAKE_EVERY_S = 0.02
#: Growth of the process, in multiples of the limit, at which it is checked even if few events are expected.
_ALARM = 3.3

#: An event takes 0.2 kB while it is recorded and 1.4 kB in the result (torch 2.13).
_RESULT_TO_RECORDED = 6.7
#: Seconds between two readings of memory: steps may be shorter than a reading takes, and little grows in that
#: time.
_ASKED_EVERY_S = 0.01
#: With fewer stretches of steps the usual growth is unknown.
_FEW = 3
#: After the first check, growth up to this multiple of the limit counts as the recording's.
_BELIEVED = 1.25

#: torch's name for the slice of an optimizer's step, in which its hooks run.
_OF_THE_STEP = "Optimizer.step#"


class Capture(Recording):
    """One recording by PyTorch's profiler.

    The code is recorded from its start. At its first optimizer step that part is put aside, ``warmup`` steps
    are not recorded, and the steps after them are. Without such steps the first part is used.
    """

    def __init__(self, title: str, wishes: Optional[RecordingOptions] = None) -> None:
        super().__init__(title, (wishes or RecordingOptions()).settled(10, 20.0).with_a_gap())
        self.first_start_s = 0.0
        self.device = ""
        self._lock = threading.RLock()
        self._began = 0.0
        self._part: Optional[Part] = None
        self._kept: Optional[Part] = None
        self.of_steps: Optional[Part] = None
        self._due = ""
        #: The steps' part ended without a step, because the program's own memory grew: the next step begins
        #: another part.
        self._anew = False
        self._slices: Optional[OpenSlices] = None
        self._thread = 0
        self._outer: List[Any] = []
        self._outer_thread = 0
        self.steps_done = 0
        self.recorded_s: List[float] = []
        self.unrecorded_s: List[float] = []

    def __repr__(self) -> str:
        state = (self.profile or {}).get("state") or (
            "recording" if Recording.active is self else "not analyzed"
        )
        kept = f", {self.trace_path}" if self.trace_path else ""
        return f"<genops profile {self.title!r}: {state}{kept}>"

    def start(self, *, own_line: bool = False) -> None:
        """Begin to record. Raises GenOpsError without torch, or while another profiler records.

        ``own_line``: the line that runs now is ours, and is not recorded.
        """
        self.refuse_nested()
        refuse_second(torch_profiler())
        expected()
        self.device = device_to_record()
        self.first_start_s, costs = warmed_up(self.device)
        if self.wishes.lines:
            self.markers = LineMarkers(own_files(), marker, costs)
            self._watch = watch(self.markers)
            self.markers.leave_out_this_line(own_line)
        self._thread = threading.get_ident()
        self._slices = OpenSlices(torch_profiler().record_function)
        Recording.active = self
        try:
            self._slices.watch()
            self._begin(of_steps=not self.wishes.warmup)
            self._hook.register()
        except BaseException:
            Recording.active = None
            self._slices.unwatch()
            raise
        threading.Thread(target=self._look, name="genops-profile", daemon=True).start()

    def _begin(self, of_steps: bool) -> None:
        part = self._start_part()
        if of_steps:
            self.of_steps = part
        markers = self.markers
        self._open_cell()
        if of_steps:
            self._open(f"ProfilerStep#{self.steps_done}")
        if markers is not None:
            markers.begin()
            if not self._watch.start():
                markers.on = False

    def _start_part(self) -> Part:
        recorder = Recorder(self.wishes, self.device)
        recorder.start(lambda: self._end("another profiler"))
        now = time.perf_counter()
        self._began = self._began or now  # the code has not begun while the first one starts
        self._part = Part(recorder, now - self._began)
        return self._part

    def _open_cell(self) -> None:
        name = self.markers.whole_cell() if self.markers is not None else ""
        if name:
            self._open(name)

    def _open(self, name: str) -> None:
        opened = annotation(name)
        opened.__enter__()
        self._outer.append(opened)
        self._outer_thread = threading.get_ident()

    def _end(self, why: str) -> None:
        """Stop the present part and its markers, from any thread if the recorder allows that."""
        with self._lock:
            if self._part is None:
                return
            self._end_markers()
            self._stop_part(why)

    def _end_markers(self) -> None:
        if self.markers is not None:
            self.markers.end()
            self._watch.stop()
        if self._outer_thread == threading.get_ident():
            while self._outer:
                self._outer.pop().__exit__(None, None, None)
        self._outer.clear()

    def _stop_part(self, why: str) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        part.seconds, part.ended_by = part.age, why
        if part is self.of_steps and not part.over:
            part.not_whole = f"ProfilerStep#{self.steps_done}"
        part.recorder.stop(self._about(part))
        if why == "memory" and not self._took_memory(part):
            part.ended_by = "growth"
            if part is self.of_steps and not part.steps and not self._anew:
                self.of_steps, self._anew = None, True
        self._close_left()
        if part is self.of_steps and self._slices is not None:
            self._slices.unwatch()  # it was the last one
        if part is not self.of_steps and (self._kept is None or part.seconds > self._kept.seconds):
            self._kept = part

    def _close_left(self) -> None:
        if self._slices is not None:
            self._slices.end()
        if self.markers is not None:
            self.markers.close_all()

    def _about(self, part: Part) -> Dict[str, Any]:
        return {
            "title": self.title,
            "steps": part.steps,
            "from_s": round(part.from_s, 3),
            "seconds": round(part.seconds, 3),
            "ended_by": part.ended_by,
            "first_start_s": round(self.first_start_s, 3),
        }

    def _stepped(self, count: int, took_s: float) -> None:
        self._safely(lambda: self._counted(count, took_s))

    def _safely(self, action: Callable[[], None]) -> None:
        try:
            with self._lock:
                action()
        except (GenOpsError, RuntimeError) as error:  # a failed recording must not cost the training
            self.trouble = str(error)
            self._hook.remove()

    def _counted(self, count: int, took_s: float) -> None:
        self.steps_done = count
        if self._watch is not None:
            self._watch.resume()
        self._at_step(count, took_s)

    def _at_step(self, count: int, took_s: float) -> None:
        wishes, part = self.wishes, self.of_steps
        if part is not None and self._part is part:
            if part.over:
                self._end_steps()  # no line came between two steps
                return
            part.steps += 1
            if took_s:
                self.recorded_s.append(took_s)
            if part.steps == 1:
                self._kept = None
            if part.steps < wishes.steps and not self._due and part.grown_by_steps_mb() >= wishes.megabytes:
                self._due = "memory"
            part.over = bool(self._due) or part.steps >= wishes.steps
            self._behind_the_step(self._end_steps if part.over else self._next_step)
            return
        if count > 1:
            self.unrecorded_s.append(took_s)
        if part is None and (count <= wishes.warmup or self._anew):
            self._end("first step")
            if count >= wishes.warmup and not self._due:
                self._begin(of_steps=True)
        elif len(self.unrecorded_s) >= COMPARED:
            self._hook.remove()

    def _behind_the_step(self, action: Callable[[], None]) -> None:
        behind_the_step(self.markers, self._watch, self._slices, lambda: self._safely(action))

    def _end_steps(self) -> None:
        started = time.perf_counter()
        self._end(self._due or "steps")
        self._hook.leave_out(time.perf_counter() - started)

    def _next_step(self) -> None:
        if self._part is None:
            return
        if self._outer and self._outer_thread == threading.get_ident():
            self._outer.pop().__exit__(None, None, None)
        self._open(f"ProfilerStep#{self.steps_done}")

    def _look(self) -> None:
        """Watch the limits of time and memory, in a thread."""
        while not self._over.wait(self._until_next_look()):
            with self._lock:
                if self._watch is not None and not self._over.is_set():
                    self._watch.wake()
                part = self._part
                if part is None and self.of_steps is not None:
                    return  # the recording has ended
                if part is None:
                    continue
                if part.age >= self.wishes.seconds:
                    self._ask_to_end("time")
                elif part is self.of_steps:
                    usual = statistics.median(self.recorded_s) if self.recorded_s else 0.0
                    since = part.age - sum(self.recorded_s)
                    if part.grown_mb >= _ALARM * self.wishes.megabytes and since > 3 * usual:
                        self._ask_to_end("memory")
                elif part.grown_mb >= self.wishes.megabytes * (1 if part.age >= part.look_at_s else _ALARM):
                    self._judge(part)

    def _until_next_look(self) -> float:
        waking = self._watch is not None and self._watch.wants_waking
        return _WAKE_EVERY_S if waking else _LOOK_EVERY_S

    def _ask_to_end(self, why: str) -> None:
        if self._part is not None and self._part.recorder.any_thread:
            self._end(why)
        else:
            self._due = why
            if self.markers is not None:
                self.markers.pending = lambda: self._end(why)

    def _judge(self, part: Part) -> None:
        """Decide whether the recording or the program made the process grow: stopping time shows the number
        of events.
        """
        if not part.recorder.any_thread:
            self._ask_to_end("memory")
            return
        self._stop_part("memory")
        if self._took_memory(part) or self.markers is None or not self.markers.on:
            self._end_markers()
            return
        # The program's own growth: continue, and check again when that many events are possible.
        rate = part.recorder.grown / 1e6 / max(part.seconds, 1e-3)
        look_at_s = self.wishes.megabytes / (4 * rate) if rate else self.wishes.seconds
        self.markers.pending = lambda: self._safely(lambda: self._go_on(look_at_s))

    def _took_memory(self, part: Part) -> bool:
        """Return whether the recorder took the memory, for a part that has ended."""
        return part.recorder.grown / 1e6 >= 0.5 * self.wishes.megabytes

    def _go_on(self, look_at_s: float) -> None:
        """Record again at a line of the cell's own: no operator of the previous part is open there."""
        markers = self.markers
        if markers is None or self._part is not None or self.steps_done or self._over.is_set():
            return
        if threading.get_ident() == self._thread and not inside_torch(markers.files):
            self._outer.clear()  # ended with their part
            self._start_part().look_at_s = look_at_s
            self._open_cell()
        else:
            markers.pending = lambda: self._safely(lambda: self._go_on(look_at_s))

    def close(self) -> None:
        """Stop recording."""
        self._over.set()
        self._hook.remove()
        try:
            self._end("error" if self.raised else "end")
        finally:
            Recording.active = None
            with self._lock:
                if self._watch is not None:
                    self._watch.stop()
            if self._slices is not None:
                self._slices.unwatch()

    def forget(self) -> None:
        """Forget the recording and its part, which are the parent process's."""
        super().forget()
        self._part = None
        if self._slices is not None:
            self._slices.unwatch()

    def chosen(self) -> Optional[Part]:
        """The part that becomes the profile."""
        part = self.of_steps
        return part if part is not None and (part.steps or self._kept is None) else self._kept

    def finish(self) -> None:
        """Stop, write the trace, send it to the Lab, wait for its summary and show it.

        Without a Lab the trace is kept and its path printed.
        """
        self.close()
        finished(self, functools.partial(write_trace, self))


class Part:
    """One uninterrupted part of a recording. ``steps``: the complete steps in it."""

    def __init__(self, recorder: Recorder, elapsed_s: float) -> None:
        self.recorder = recorder
        self.from_s = elapsed_s
        self.began = time.perf_counter()
        self.seconds = 0.0
        self.steps = 0
        self.ended_by = ""
        #: The part has all steps, and ends when the last step's slices are closed.
        self.over = False
        #: The name of the slice that would have been the next step.
        self.not_whole = ""
        self.resident = resident_bytes()
        #: Growth before this age is the program's own, as far as is known.
        self.look_at_s = 0.0
        self._asked_at = 0.0
        #: How much and over how many steps memory had grown at the last reading, and the growth of steps in
        #: between.
        self._grown_then, self._steps_then = 0.0, 0
        self._grown_a_step: List[float] = []

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.began

    @property
    def grown_mb(self) -> float:
        """Return the MB that the recording will have taken, if all growth so far is its own."""
        return _RESULT_TO_RECORDED * max(0, resident_bytes() - self.resident) / 1e6

    def grown_by_steps_mb(self) -> float:
        """Return the same at the end of a step, from the growth of a usual step.

        Growth in few of the steps is the program's own, such as an optimizer's states. Growth in the very
        first step counts fully.
        """
        if time.perf_counter() - self._asked_at >= _ASKED_EVERY_S and self.steps > self._steps_then:
            grown = self.grown_mb
            self._grown_a_step.append((grown - self._grown_then) / (self.steps - self._steps_then))
            self._asked_at, self._grown_then, self._steps_then = time.perf_counter(), grown, self.steps
        if len(self._grown_a_step) < 2:
            return self._grown_then / _BELIEVED
        if len(self._grown_a_step) < _FEW:
            return min(self._grown_a_step) * self.steps
        return statistics.median(self._grown_a_step) * self.steps


def behind_the_step(
    markers: Optional[LineMarkers], hearing: Any, slices: Optional[OpenSlices], action: Callable[[], None]
) -> None:
    """Call ``action`` at the caller's next line, if lines are traced; else after the optimizer's slice.

    It runs between the slices of lines. Call this in a hook of the optimizer.
    """

    def between_lines() -> None:
        if markers is not None and markers.on:
            markers.around(action)
        else:
            action()

    if markers is not None and markers.on:
        frame: Any = sys._getframe(1)
        while frame is not None and (
            is_of_torch(frame.f_code.co_filename) or is_ours(frame.f_code.co_filename)
        ):
            frame = frame.f_back
        code = frame.f_code if frame is not None else None
        if code is not None and code.co_filename in markers.files and hearing.hears(code):
            markers.pending = action
            return
    if slices is None or not slices.behind(_OF_THE_STEP, between_lines):
        between_lines()
