"""Keep the port by which other machines reach the deployments of this host, by TLS.

``NAME/tls.json`` has what a deployment asks for. Files that the Lab carried over are beside it, for this user
alone. The gateway has one such port: that of the first deployment by name.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from .channels import ChannelReset
from .deployment_files import read, write

FILE = "tls.json"
#: What the gateway needs.
_GIVEN = ("host", "port", "certificate", "key")


def take(root: Path, name: str, tls: Optional[Mapping[str, Any]]) -> None:
    """Write what a deployment asks for; None: no port. Raises ChannelReset if another one has another port."""
    base = root / name
    if not tls:
        for each in (base / FILE, *_carried(base).values()):
            with contextlib.suppress(FileNotFoundError):
                each.unlink()
        return
    for path in _files(root):
        other = read(path) or {}
        if path.parent != base and (other.get("host"), other.get("port")) != (tls["host"], tls["port"]):
            raise ChannelReset(
                "failed",
                f"{path.parent.name!r} on this host has the address {other.get('host')}:{other.get('port')}, and the "
                f"gateway of a host has one: {name!r} cannot have {tls['host']}:{tls['port']}.",
                "Write the same address in both files.",
            )
    found = {each: tls[each] for each in _GIVEN}
    if tls["asked"].get("carried"):
        found.update({each: str(path) for each, path in _carried(base).items()})
        for each, text in (tls.get("files") or {}).items():
            write(_carried(base)[each], text)
    write(base / FILE, {**found, "asked": tls["asked"]})


def asked(base: Path) -> Optional[Dict[str, Any]]:
    """Return the port of a deployment as its Lab asked for it; None without one."""
    return (read(base / FILE) or {}).get("asked")


def of_host(root: Path) -> Optional[Dict[str, Any]]:
    """Return the port of the gateway; None if no deployment asks for one."""
    for path in _files(root):
        found = read(path)
        if found is not None:
            return {each: found[each] for each in _GIVEN}
    return None


def _files(root: Path) -> List[Path]:
    return sorted(each for each in root.glob(f"*/{FILE}") if not each.parent.name.startswith("."))


def _carried(base: Path) -> Dict[str, Path]:
    return {"certificate": base / "tls-certificate.pem", "key": base / "tls-key.pem"}
