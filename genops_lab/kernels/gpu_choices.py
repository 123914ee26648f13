"""Keep the GPUs that a user chose for a kernel until the kernel starts."""

from __future__ import annotations

import time

#: Seconds. A start follows its choice at once; an unused choice is forgotten.
_CHOICE_KEPT_S = 600.0


class GpuChoices:
    """The GPUs chosen for kernels that start. May be used from any thread. The kernel that starts for the
    notebook on the target takes its choice once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[float, dict[str, str]]] = {}
        self._remembered: dict[str, dict[str, str]] = {}

    def remember(self, kernel_id: str, environment: dict[str, str]) -> None:
        """Store the choice of a running kernel that this process attaches to next."""
        self._remembered[kernel_id] = environment

    def recall(self, kernel_id: str) -> dict[str, str]:
        """Return the stored choice of a kernel, once; empty without one."""
        return self._remembered.pop(kernel_id, {})

    def make(self, target: str, notebook: str, environment: dict[str, str]) -> None:
        """Store a choice for the next start of ``notebook`` (a path of the contents manager); replaces an
        earlier one."""
        now = time.monotonic()
        for key, (made_at, _) in list(self._made.items()):
            if now - made_at > _CHOICE_KEPT_S:
                self._made.pop(key, None)
        self._made[target, notebook.strip("/")] = now, environment

    def has(self, target: str, file: str) -> bool:
        """Return whether the kernel that starts for this notebook's file takes a choice."""
        return any(target == key[0] and f"/{file}".endswith(f"/{key[1]}") for key in list(self._made))

    def take(self, target: str, file: str) -> dict[str, str] | None:
        """Take the choice for a kernel that starts for this notebook's file; None without one."""
        for key, (made_at, environment) in list(self._made.items()):
            if key[0] == target and f"/{file}".endswith(f"/{key[1]}"):
                self._made.pop(key, None)
                return environment if time.monotonic() - made_at <= _CHOICE_KEPT_S else None
        return None
