"""Carry standard input and output to a command in a pod, over the websocket of ``pods/exec``.

Standard input begins with one line of JSON: ``url`` (wss), ``headers``, ``verify``, ``ca``, ``cert``, ``key``,
``server_name``, ``proxy``. The bytes after it are the stream.

Exit codes 126 and 127 are the command's own. Any other end is :data:`CUT`, because what an API server reports
as the end may be a cut (kubernetes#73056). A refused request ends with :data:`REFUSED`, and the last line of
standard error is its JSON.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

CUT, REFUSED = 75, 76
_V5, _V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR = 0, 1, 2, 3
_CONNECT_S = 10.0
_PIECE = 65536


def main() -> None:
    """Serve one stream, then end the process."""
    import websocket

    access = json.loads(_first_line())
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    if access["verify"]:
        options = {"cert_reqs": ssl.CERT_REQUIRED, **({"ca_certs": access["ca"]} if access["ca"] else {})}
    if access["cert"]:
        options.update(certfile=access["cert"], keyfile=access["key"])
    if access["server_name"]:
        options["server_hostname"] = access["server_name"]
    proxy = urlsplit(access["proxy"]) if access["proxy"] else None
    way = (
        {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, "proxy_type": "http"}
        if proxy
        else {}
    )
    stream: Any = websocket.WebSocket(sslopt=options, skip_utf8_validation=True, enable_multithread=True)
    stream.settimeout(_CONNECT_S)
    try:
        stream.connect(
            access["url"], header=[f"{name}: {value}" for name, value in access["headers"].items()],
            subprotocols=[_V5, _V4], suppress_origin=True, **way,
        )  # fmt: skip
    except websocket.WebSocketBadStatusException as error:
        _refused(_status(error.resp_body, error.status_code))
    except (OSError, websocket.WebSocketException) as error:
        _refused({"kind": "unreachable", "message": str(error)})
    stream.settimeout(None)
    threading.Thread(target=_upstream, args=(stream, stream.getsubprotocol() == _V5), daemon=True).start()
    try:
        _end(_downstream(stream))
    except (OSError, websocket.WebSocketException) as error:
        _tell(f"The stream was cut: {error}")
        _end(CUT)


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):  # one by one: the stream follows
        byte = os.read(0, 1)
        if not byte:
            _end(CUT)
        line += byte
    return line


def _upstream(stream: Any, half_closes: bool) -> None:
    import websocket

    try:
        while data := os.read(0, _PIECE):
            stream.send_binary(b"\0" + data)
        if half_closes:
            stream.send_binary(bytes((255, _STDIN)))
        else:  # v4 has no other way to say it
            stream.close(timeout=1)
            _end(CUT)
    except (OSError, websocket.WebSocketException):
        return  # the other direction reports the reason


def _downstream(stream: Any) -> int:
    code = CUT
    while True:
        opcode, data = stream.recv_data()
        if opcode == 8 or not data:
            return code
        channel, rest = data[0], memoryview(data)[1:]
        if channel == _STDOUT:
            _write(rest)
        elif channel == _STDERR:
            os.write(2, rest)
        elif channel == _ERROR:
            code = _code(bytes(rest))


def _code(data: bytes) -> int:
    status = _object(data)
    if status.get("status") != "Failure":
        return CUT
    causes = (status.get("details") or {}).get("causes") or []
    found = next((each.get("message") for each in causes if each.get("reason") == "ExitCode"), "")
    message = str(status.get("message") or "")
    if not found and ("no such file" in message or "not found" in message):
        found = "127"  # the runtime found no /bin/sh
    _tell(message)
    return int(found) if found in ("126", "127") else CUT


def _status(body: Any, code: int) -> dict[str, Any]:
    found = _object(body or b"")
    reason, message = found.get("reason"), found.get("message") or f"HTTP {code}"
    return {"kind": "api", "status": code, "reason": reason, "message": message}


def _object(data: Any) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {"message": bytes(data)[:300].decode(errors="replace")}
    return found if isinstance(found, dict) else {}


def _write(view: memoryview) -> None:
    while view:
        view = view[os.write(1, view) :]


def _tell(text: str) -> None:
    os.write(2, text[:4000].encode() + b"\n")


def _refused(error: dict[str, Any]) -> None:
    _tell(json.dumps(error))
    _end(REFUSED)


def _end(code: int) -> None:
    os._exit(code)  # the other thread may wait in a read
