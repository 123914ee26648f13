"""Read the figures of a revision: requests and tokens from the gateway, the KV cache and the queue from the engine."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ASK_S = 3.0
#: The engines' own names of what is shown. llama.cpp tells no use of its cache: its slots do.
_WAITING = ("llamacpp:requests_deferred", "vllm:num_requests_waiting", "sglang:num_queue_reqs")
_WORKING = ("llamacpp:requests_processing", "vllm:num_requests_running", "sglang:num_running_reqs")
_CACHE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage")
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+(?P<value>\S+)", re.MULTILINE)


def ask(port: int, path: str, key: str, timeout_s: float = _ASK_S) -> tuple[int, bytes]:
    """Return status and body of a GET to the engine; status 0 if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(4_000_000)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def sleeps(port: int, key: str) -> bool:
    """Return whether llama.cpp has unloaded its model until the next request."""
    status, body = ask(port, "/props", key)
    try:
        return status == 200 and bool(json.loads(body)["is_sleeping"])
    except (ValueError, KeyError, TypeError):  # of an older llama.cpp
        return False


def samples(text: str) -> dict[str, float]:
    """Return the samples of Prometheus text by name, summed over labels."""
    found: dict[str, float] = {}
    for match in _SAMPLE.finditer(text):
        try:
            value = float(match["value"])
        except ValueError:
            continue
        found[match["name"]] = found.get(match["name"], 0.0) + value
    return found


def of_engine(port: int, key: str) -> dict[str, float]:
    """Return ``waiting`` and ``working`` requests and ``kv_use`` (0 to 1), as far as the engine tells them."""
    status, body = ask(port, "/metrics", key)
    if status != 200:
        return {}
    known = samples(body.decode("utf-8", "replace"))
    found: dict[str, float] = {}
    for name, names in (("waiting", _WAITING), ("working", _WORKING), ("kv_use", _CACHE)):
        value = next((known[each] for each in names if each in known), None)
        if value is not None:
            found[name] = value
    if "kv_use" not in found:
        found |= _of_slots(port, key)
    return found


def _of_slots(port: int, key: str) -> dict[str, float]:
    """Return the share of the cache that llama.cpp's requests use now."""
    status, body = ask(port, "/slots", key)
    try:
        slots = json.loads(body) if status == 200 else []
        size = sum(each["n_ctx"] for each in slots)
        used = sum(_tokens(each) for each in slots if each["is_processing"])
    except (ValueError, KeyError, TypeError):
        return {}
    return {"kv_use": used / size} if size else {}


def _tokens(slot: Mapping[str, Any]) -> int:
    decoded = sum(each.get("n_decoded", 0) for each in slot.get("next_token", []))
    return int(slot.get("n_prompt_tokens", 0)) + int(decoded)


def of_gateway(gateway: Mapping[str, Any], name: str, number: int) -> dict[str, Any]:
    """Return what the gateway counted for a revision since it started; empty if it does not answer."""
    try:
        path = json.loads(Path(gateway["argv"][-1]).read_bytes())["socket"]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ASK_S)
            connection.connect(path)
            asked = {"op": "usage", "name": name, "revision": number}
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile("rb") as lines:
                found = json.loads(lines.readline())
    except (OSError, ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) and "requests" in found else {}
