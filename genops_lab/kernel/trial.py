"""``genops_lab.runtime.trial`` by its name of before: see the package."""

from ..runtime.trial import answer

__all__ = ["answer"]
