"""The wire type of a picture, apart from the other types: evaluations on hosts need it alone."""

from __future__ import annotations

import msgspec


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of a chat turn, or of a row.

    ``url`` is a data URL of a PNG, JPEG, GIF or WebP up to 2 MB, and empty otherwise: then ``note`` says why. Other
    addresses are never fetched.
    """

    url: str = ""
    note: str = ""
