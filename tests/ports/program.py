"""A program in a kernel on a host: pages, events and a websocket, on a port and on a unix socket."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tornado import web, websocket
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket


class Echo(web.RequestHandler):
    """Says what it received."""

    def get(self) -> None:
        self.set_header("Set-Cookie", "theirs=1; Path=/")
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Content-Security-Policy", "script-src 'none'")
        said = {"path": self.request.uri, "headers": dict(self.request.headers)}
        self.write({**said, "body": self.request.body.decode()})

    post = get


class Page(web.RequestHandler):
    """A page that says whether it may act as the user."""

    def get(self) -> None:
        self.write("""<!doctype html><title>program</title><p id="said">...</p><script>
            const say = text => { document.getElementById("said").textContent = text; };
            fetch("echo").then(answer => say("answered " + answer.status), () => say("refused"));
            </script>""")


class Moved(web.RequestHandler):
    """Leads to a page, as a program does that does not know its path."""

    def get(self) -> None:
        self.redirect("/echo")


class Events(web.RequestHandler):
    """Sends the second event once the file of the test is there."""

    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.write("data: one\n\n")
        await self.flush()
        while not await asyncio.to_thread(Path(sys.argv[2], "go").exists):
            await asyncio.sleep(0.02)
        self.write("data: two\n\n")


class Repeats(websocket.WebSocketHandler):
    """Repeats each message."""

    def check_origin(self, origin: str) -> bool:
        return False  # JupyterLab has judged the origin, and sends none

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


async def main() -> None:
    folder = Path(sys.argv[2])
    routes = [
        ("/echo", Echo),
        ("/(?:page)?", Page),
        ("/moved", Moved),
        ("/events", Events),
        ("/repeats", Repeats),
    ]
    server = HTTPServer(web.Application(routes))  # type: ignore[arg-type]
    sockets = bind_sockets(int(sys.argv[1]), "127.0.0.1")
    server.add_sockets([*sockets, bind_unix_socket(str(folder / "program.sock"))])
    (folder / "port").write_text(json.dumps(sockets[0].getsockname()[1]))
    await asyncio.Event().wait()


asyncio.run(main())
