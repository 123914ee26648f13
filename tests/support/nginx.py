"""A real nginx before a Lab, which cuts connections that carry nothing for a while."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from .lab_server import LabServer, free_port

_CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {origin};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_read_timeout {cut_s}s;
    }}
  }}
}}
"""
_STARTS_WITHIN_S = 30.0


@contextmanager
def nginx(lab: LabServer, folder: Path, *, cut_s: int) -> Iterator[LabServer]:
    """The Lab through nginx, which cuts after ``cut_s`` without a byte; skips the test, by name, without nginx."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("no nginx on this machine")
    folder.mkdir()
    through = dataclasses.replace(lab, port=free_port())
    file = folder / "nginx.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, port=through.port, origin=lab.origin, cut_s=cut_s))
    log = folder / "error.log"
    process = subprocess.Popen([program, "-p", folder, "-e", log, "-c", file], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            with suppress(OSError):
                if through.request("GET", "api/status", timeout=2)[0] == 200:
                    break
            time.sleep(0.02)
        yield through
    finally:
        process.terminate()
        process.wait(10)
