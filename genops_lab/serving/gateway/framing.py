"""Bound what a peer sends beside bodies: heads, sizes and extensions of chunks, trailers."""

from __future__ import annotations

#: The head of a request, and of an answer with the interim answers before it.
MAX_HEAD, MAX_ANSWER_HEAD = 32 * 1024, 64 * 1024
#: Bytes of chunk framing and trailers behind a head, and lines of trailers.
MAX_FRAMING, MAX_TRAILERS = 8 * 1024, 32
#: A byte of a body pays for so many of framing: a chunk of one byte has six, and no sender is taken for a bad one.
_FREE = 8
#: Small chunks of a body are joined to parts of this size, since each part has a cost of its own.
_PART_BYTES = 64 * 1024


class Framing:
    """Counts the bytes of one message that are no body.

    The parser keeps an unfinished line, and skips extensions of chunks: it has no bound itself.
    """

    def __init__(self) -> None:
        self._excess = 0
        self._trailers = 0
        self._trailer_bytes = 0
        self.in_head = True

    def arrived(self, size: int) -> None:
        """Count bytes that the parser gets."""
        self._excess += size

    def head_ended(self) -> None:
        """Count the framing of a body from now on."""
        self._excess, self._trailers, self._trailer_bytes, self.in_head = 0, 0, 0, False

    def message_ended(self) -> None:
        """Count a head from now on."""
        self._excess, self._trailers, self._trailer_bytes, self.in_head = 0, 0, 0, True

    def body(self, size: int) -> None:
        """Take off bytes of the body."""
        self._excess = max(0, self._excess - (1 + _FREE) * size)

    def trailer(self, name: bytes, value: bytes) -> None:
        """Count a trailer. It is dropped: nobody has checked it (RFC 9110, 6.5.1)."""
        self._trailers += 1
        self._trailer_bytes += len(name) + len(value) + len(b": \r\n")

    @property
    def has_long_trailers(self) -> bool:
        """Whether the trailers so far are more than allowed."""
        return self._trailers > MAX_TRAILERS or self._trailer_bytes > MAX_FRAMING

    def is_over(self, most_of_head: int) -> bool:
        """Whether the message has more beside its body than allowed."""
        return self._excess > (most_of_head if self.in_head else MAX_FRAMING) or self.has_long_trailers


def add_part(parts: list[bytearray], data: bytes) -> None:
    """Add bytes to a body. Two bytes in a list of their own take 43."""
    if not parts or len(parts[-1]) >= _PART_BYTES:
        parts.append(bytearray())
    parts[-1] += data
