"""A server extension for tests: says which routes of GenOps the running server has, raw handlers and websockets too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.routing import RuleRouter
from tornado.websocket import WebSocketHandler

PATH = "tests-routes"


def _load_jupyter_server_extension(app: Any) -> None:
    app.web_app.add_handlers(".*$", [(url_path_join(app.base_url, PATH), RoutesHandler)])


class RoutesHandler(JupyterHandler):
    """``[{"pattern", "methods", "websocket"}]``, read from the tornado application at each request."""

    auth_resource = "tests"

    @web.authenticated
    @authorized
    def get(self) -> None:
        self.finish(
            json.dumps([*_of(self.application.default_router), *_of(self.application.wildcard_router)])
        )


def _of(router: RuleRouter) -> Iterator[dict[str, Any]]:
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            yield from _of(rule.target)
            continue
        handler, pattern = rule.target, getattr(rule.matcher, "regex", re.compile("")).pattern
        if issubclass(handler, web.RequestHandler) and (_is_ours(handler) or "/genops" in pattern):
            yield {
                "pattern": pattern,
                "methods": [verb for verb in handler.SUPPORTED_METHODS if _has(handler, verb)],
                "websocket": issubclass(handler, WebSocketHandler),
            }


def _is_ours(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] == "genops_lab" for base in kind.__mro__)


def _has(handler: type, verb: str) -> bool:
    """Whether it answers the verb itself; what Jupyter's own base answers (OPTIONS) is Jupyter's."""
    for base in handler.__mro__:
        if verb.lower() in vars(base):
            return base.__module__.partition(".")[0] not in ("tornado", "jupyter_server")
    return False
