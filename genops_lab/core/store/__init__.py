"""The store: what GenOps Lab itself must remember (intents, leases, who said what), nothing a provider knows."""

from .store import Store
from .tables import metadata

__all__ = ["Store", "metadata"]
