"""What records in this kernel, and a recording of a block."""

from __future__ import annotations

import contextlib
from typing import Iterator, Optional, Union

from .capture import Capture
from .markers import own_files
from .nsight import NsightCapture, session
from .wishes import Wishes


def capture_of(title: str, wishes: Optional[Wishes] = None) -> Union[Capture, NsightCapture]:
    """A recording that has not begun: by Nsight Systems in a kernel that was started under it."""
    under = session()
    return Capture(title, wishes) if under is None else NsightCapture(title, under, own_files(), wishes)


@contextlib.contextmanager
def profiled(title: str, wishes: Optional[Wishes] = None) -> Iterator[Union[Capture, NsightCapture]]:
    """Record the block, also when it raises."""
    capture = capture_of(title, wishes)
    capture.start()
    try:
        yield capture
    except BaseException as error:
        capture.raises(error)
        raise
    finally:
        capture.finish()
