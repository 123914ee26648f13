"""Turn pictures into bytes: a PNG of an array, what PIL and matplotlib write, and files unchanged.

Numbers become grey or colour values. Booleans and values from 0 to 1 use the full range, and non-finite
values are 0. Whole numbers from 0 to 255 stay as they are. All others are scaled from their smallest value
(black) to their largest (white), and the note says so.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import Any, NamedTuple

from .errors import GenOpsError

#: Bytes of one picture, so that it travels in one message.
MAX_BYTES = 2_700_000
#: Pixels of the preview's longer side, as in MLflow.
SMALL_SIDE = 256
_MAX_PIXELS = 100_000_000
_CHANNELS = (1, 3, 4)
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


class Picture(NamedTuple):
    """A picture: ``content`` is PNG, JPEG, GIF or WebP; ``note`` says what was changed.

    ``small`` is a copy of at most 256 pixels a side. It is empty if the picture is that small or no copy can
    be made.
    """

    content: bytes
    small: bytes
    note: str


def picture(image: Any) -> Picture:
    """Return a picture as bytes. Raises GenOpsError for other objects, and for bytes that are too large.

    ``image`` is an array or tensor (HxW, HxWxC, CxHxW with 1, 3 or 4 channels), a PIL image, a matplotlib
    figure, the path of a file, or a file's bytes.
    """
    if isinstance(image, (str, os.PathLike)):
        return _of_bytes(_read(os.fspath(image)))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _of_bytes(bytes(image))
    figure = image if hasattr(image, "savefig") else getattr(image, "figure", None)
    if figure is not None and hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return _of_bytes(buffer.getvalue())
    if hasattr(image, "save") and hasattr(image, "getbands"):
        return _of_pil(image)
    return _of_array(image)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise GenOpsError(
            f"Cannot read the picture {path!r}: {error.strerror}.",
            "Give the path of a file that exists and that you may read.",
        ) from error


def _of_bytes(content: bytes) -> Picture:
    if not content.startswith(_BEGINNINGS) and not (content[:4] == b"RIFF" and content[8:12] == b"WEBP"):
        raise GenOpsError("These bytes are not a picture.", "Give PNG, JPEG, GIF or WebP.")
    if len(content) > MAX_BYTES:
        raise GenOpsError(
            f"The picture has more than {MAX_BYTES:,} bytes.",
            "Make it smaller, give it as an array or a PIL image (GenOps Lab shrinks those), or keep it with "
            "genops.log_file.",
        )
    return Picture(content, _small_of(content), "")


def _small_of(content: bytes) -> bytes:
    try:
        from PIL import Image
    except ImportError:
        return b""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _small_of_pil(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise GenOpsError(f"Cannot read the picture: {error}.", "Give a complete file.") from error


def _small_of_pil(image: Any) -> bytes:
    if max(image.size) <= SMALL_SIDE:
        return b""
    small = _plain(image).copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    return _saved(small)


def _plain(image: Any) -> Any:
    return (
        image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA" if "A" in image.mode else "RGB")
    )


def _saved(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _of_pil(image: Any) -> Picture:
    plain, before = _plain(image), image.size
    content = _saved(plain)
    while len(content) > MAX_BYTES:
        plain = plain.reduce(2)
        content = _saved(plain)
    return Picture(content, _small_of_pil(plain), _shrunk(before, plain.size))


def _shrunk(before: Any, now: Any) -> str:
    sizes = [f"{size[0]} x {size[1]}" for size in (before, now)]
    return "" if sizes[0] == sizes[1] else f"had {sizes[0]} pixels and is kept with {sizes[1]}"


def _of_array(image: Any) -> Picture:
    is_torch = hasattr(image, "detach")
    if is_torch:
        image = image.detach().cpu()
        image = image.float() if image.dtype.is_floating_point else image
    try:
        import numpy
    except ImportError as error:
        raise GenOpsError(
            "A picture made of numbers needs numpy, which is not installed here.",
            "Install numpy, or give PNG bytes.",
        ) from error
    try:
        array = numpy.asarray(image)
    except ValueError as error:
        raise GenOpsError(
            f"These numbers are not a picture: {error}.", "Give rows of the same length."
        ) from error
    if array.dtype.kind not in "biuf":
        raise GenOpsError(
            f"An object of the type {type(image).__name__} is not a picture.",
            "Give an array, a tensor, a PIL image, a matplotlib figure, a path, or PNG bytes.",
        )
    array = _height_width_channels(array, channels_first=is_torch)
    array, note = _as_bytes(numpy, array)
    before = (array.shape[1], array.shape[0])
    content = _png(array)
    while len(content) > MAX_BYTES:
        array = _reduced(numpy, array, 2)
        content = _png(array)
    side = max(array.shape[:2])
    small = _png(_reduced(numpy, array, -(-side // SMALL_SIDE))) if side > SMALL_SIDE else b""
    shrunk = _shrunk(before, (array.shape[1], array.shape[0]))
    return Picture(content, small, " and ".join(part for part in (note, shrunk) if part))


def _height_width_channels(array: Any, *, channels_first: bool) -> Any:
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim == 3:
        last, first = shape[2] in _CHANNELS, shape[0] in _CHANNELS
        if first and (channels_first or not last):
            array = array.transpose(1, 2, 0)
        elif not last:
            array = array[:, :, :0]
    if array.ndim != 3 or not array.size:
        raise GenOpsError(
            f"An array of shape {tuple(shape)} is not a picture.",
            "Give height x width, height x width x 3 (or 1, 4), or 3 x height x width.",
        )
    if array.shape[0] * array.shape[1] > _MAX_PIXELS:
        raise GenOpsError(f"The picture has more than {_MAX_PIXELS:,} pixels.", "Give a smaller picture.")
    return array


def _as_bytes(numpy: Any, array: Any) -> Any:
    if array.dtype == numpy.uint8:
        return array, ""
    if array.dtype.kind == "b":
        return array.astype(numpy.uint8) * 255, ""
    finite = numpy.isfinite(array)
    seen = array[finite]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    if array.dtype.kind != "f" and low >= 0 and high <= 255:
        return array.astype(numpy.uint8), ""
    note = ""
    scaled = numpy.where(finite, array, low).astype(numpy.float64)
    if not (array.dtype.kind == "f" and low >= 0 and high <= 1):
        half = high / 2 - low / 2  # the difference itself may be beyond the largest number
        scaled = (scaled / 2 - low / 2) / half if half > 0 else scaled * 0
        note = f"has values from {low:g} to {high:g}, shown from black to white"
    return numpy.where(finite, scaled * 255 + 0.5, 0).astype(numpy.uint8), note


def _reduced(numpy: Any, array: Any, by: int) -> Any:
    """Return the mean of each ``by`` x ``by`` block of pixels; incomplete blocks at the edges are left out."""
    height, width = max(array.shape[0] // by, 1), max(array.shape[1] // by, 1)
    down, across = min(by, array.shape[0]), min(by, array.shape[1])
    parts = array[: height * down, : width * across].reshape(height, down, width, across, array.shape[2])
    return parts.mean(axis=(1, 3)).astype(numpy.uint8)


def _png(array: Any) -> bytes:
    """Return a PNG (ISO/IEC 15948) of height x width x channels bytes, each row as the difference from the
    row above.
    """
    height, width, channels = array.shape
    rows = array.reshape(height, width * channels)
    above = rows.copy()
    above[1:] -= rows[:-1]
    lines = b"".join(b"\x02" + line.tobytes() for line in above)
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return (
        _BEGINNINGS[0]
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(lines, 4))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)
    )
