"""What a person chose for a notebook's kernel: which GPUs it shall see, from its next start on."""

from __future__ import annotations

import time

#: A start follows its choice at once; one that does not come is not remembered for another.
_KEPT_S = 600.0


class GpuChoices:
    """From any thread. Taken once, by the kernel that starts for that notebook on that target."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[float, dict[str, str]]] = {}
        self._remembered: dict[str, dict[str, str]] = {}

    def remember(self, kernel_id: str, environment: dict[str, str]) -> None:
        """What was chosen for a kernel that runs already, and that this process attaches to next."""
        self._remembered[kernel_id] = environment

    def recall(self, kernel_id: str) -> dict[str, str]:
        """What is remembered of a kernel, once; empty where nothing is."""
        return self._remembered.pop(kernel_id, {})

    def make(self, target: str, notebook: str, environment: dict[str, str]) -> None:
        """For the next start of ``notebook`` (as the contents manager calls it); replaces an earlier one."""
        now = time.monotonic()
        for key, (made_at, _) in list(self._made.items()):
            if now - made_at > _KEPT_S:
                self._made.pop(key, None)
        self._made[target, notebook.strip("/")] = now, environment

    def take(self, target: str, file: str) -> dict[str, str] | None:
        """What was chosen for a kernel that starts for this notebook's file; None where nothing was."""
        for key, (made_at, environment) in list(self._made.items()):
            if key[0] == target and f"/{file}".endswith(f"/{key[1]}"):
                self._made.pop(key, None)
                return environment if time.monotonic() - made_at <= _KEPT_S else None
        return None
