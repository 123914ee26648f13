"""What GenOps Lab itself must remember (intents, leases, who did what), nothing a provider knows.

Two stores: :class:`LocalStore` is this user's own, :class:`SharedStore` may be a team's.
"""

from .local import LocalStore, post
from .shared import SharedStore
from .store import Store, upsert

__all__ = ["LocalStore", "SharedStore", "Store", "post", "upsert"]
