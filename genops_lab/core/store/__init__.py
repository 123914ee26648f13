"""Store what GenOps Lab itself must remember, such as intents, leases and the audit log.

:class:`LocalStore` belongs to this user; a team may share :class:`SharedStore`.
"""

from .local import LocalStore, post
from .shared import SharedStore
from .store import Store, upsert

__all__ = ["LocalStore", "SharedStore", "Store", "post", "upsert"]
