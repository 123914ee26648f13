"""Convert users' values to JSON; numpy, pandas and torch are recognised without being imported."""

from __future__ import annotations

import base64
import json
import math
from typing import Any, Dict, Union

from .errors import of_the_users_line

Number = Union[int, float]

#: Text artifacts are sent in one message.
MAX_TEXT_CHARACTERS = 4_000_000


def clean(text: Any) -> str:
    """Return text that every JSON reader and database accepts: a lone surrogate becomes a question mark."""
    return str(text).encode("utf-8", "replace").decode()


def number(key: str, value: Any) -> float:
    """Return a metric's value: a number, or an object with one (a tensor, a numpy scalar). Raises TypeError."""
    if type(value) is float:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, RuntimeError):
        message = (
            f"genops.log: {key!r} is a {type(value).__name__}, not a number. Log a number such as "
            "loss.item()."
        )
        raise of_the_users_line(TypeError(message)) from None


def spelled(value: float) -> Union[float, str]:
    """Return NaN and infinities as words, because JSON lacks them."""
    return (
        value
        if math.isfinite(value)
        else ("NaN" if math.isnan(value) else f"{value}".replace("inf", "Infinity"))
    )


def _plain(value: Any) -> Any:
    """Convert a value for ``json.dumps(default=...)``."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (set, tuple, range)):
        return list(value)
    raise TypeError(f"A {type(value).__name__} cannot be sent to a model. Give lists, numbers and strings.")


def scoring_body(inputs: Any) -> bytes:
    """Return MLflow's scoring JSON: a data frame as ``dataframe_split``, everything else as ``inputs``."""
    if hasattr(inputs, "to_json") and hasattr(inputs, "columns"):
        split = json.loads(inputs.to_json(orient="split", date_format="iso", index=False))
        return json.dumps({"dataframe_split": split}).encode()
    if hasattr(inputs, "detach"):
        inputs = inputs.detach().cpu()
    return json.dumps({"inputs": inputs}, default=_plain).encode()


def scalars(namespace: Dict[str, Any]) -> Dict[str, Union[int, float, str, bool]]:
    """Return the simple values of a namespace."""
    return {name: value for name, value in namespace.items() if type(value) in (int, float, str, bool)}
