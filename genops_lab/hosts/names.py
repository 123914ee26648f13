"""Check the names of targets: they become a kernelspec's folder, a part of a URL and a column's value."""

from __future__ import annotations

import re
import unicodedata

from genops_lab.core.errors import InvalidRequest

KERNEL_PREFIX = "genops-"

#: Must match the whole name; pages check names by it too. The words in front have paths of their own next to the
#: targets' (``/targets/candidates``).
NAME_PATTERN = r"(?!(?:candidates|best-fit)$)[a-z0-9][a-z0-9._-]{0,56}"
#: Must match the whole name of a preset.
PRESET_PATTERN = r"[A-Za-z0-9][A-Za-z0-9 .,+_-]{0,39}"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
#: Variables that would let a host act as this user elsewhere, or that describe this machine.
_NEVER_SENT = ("JUPYTERHUB_", "JPY_", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GENOPS_")


def is_name(name: str) -> bool:
    """Return whether a target can have this name."""
    return re.fullmatch(NAME_PATTERN, name) is not None


def check_name(name: str) -> str:
    """Return the name. Raises InvalidRequest, with a valid name as a suggestion."""
    if is_name(name):
        return name
    raise InvalidRequest(
        f"{name[:80]!r} is not a valid name of a target.",
        hint="Use 1 to 57 of the letters a-z, digits, '.', '_' and '-'. Begin with a letter or a "
        "digit, "
        f"such as {default_name(name)!r}.",
    )


def default_name(text: str) -> str:
    """Return a valid name made from any text, such as a host's alias."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9._-]+", "-", ascii_only).strip("-._")[:57].rstrip("-._")
    return slug if is_name(slug) else f"{slug}-1" if slug else "gpu"


def kernel_name(target: str) -> str:
    """Return the name of the target's kernelspec."""
    return KERNEL_PREFIX + target


def preset_kernel_name(target: str, preset: str) -> str:
    """Return the name of a preset's kernelspec.

    >>> preset_kernel_name("cluster", "1 x H100, 4 h")
    'genops-cluster.1-x-h100-4-h'
    """
    return f"{kernel_name(target)}.{re.sub(r'[^a-z0-9]+', '-', preset.lower()).strip('-')}"


def check_preset_name(name: str) -> str:
    """Return the name of a preset. Raises InvalidRequest."""
    if re.fullmatch(PRESET_PATTERN, name):
        return name
    raise InvalidRequest(
        f"{name[:80]!r} is not a valid name of a preset.",
        hint="Use 1 to 40 letters, digits, spaces and '.,+_-'. Begin with a letter or a digit.",
    )


def target_of(kernel: str) -> str:
    """Return the target of a kernelspec's name; empty for a kernel of this machine."""
    return kernel[len(KERNEL_PREFIX) :] if kernel.startswith(KERNEL_PREFIX) else ""


def is_never_sent(name: str) -> bool:
    """Return whether a variable of this name always stays on this machine, even when a user selects it."""
    return name.upper().startswith(_NEVER_SENT)


def may_be_sent(name: str) -> bool:
    """Return whether a variable of this name can be sent to another host."""
    return _VARIABLE.fullmatch(name) is not None and not is_never_sent(name)


def check_secrets(names: list[str]) -> list[str]:
    """Return the names of variables, each once, sorted. Raises InvalidRequest for an invalid name, and for a
    variable that is never sent."""
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise InvalidRequest(
                f"{name[:80]!r} is not the name of a variable.",
                hint="Give only the variable's name, such as HF_TOKEN. GenOps Lab reads its value when "
                "a kernel starts.",
            )
        if is_never_sent(name):
            raise InvalidRequest(
                f"{name} is never sent to another host.",
                hint="It would let that host act as you. Choose other variables.",
            )
    return sorted(set(names))
