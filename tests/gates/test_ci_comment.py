"""The scripts of the CI jobs that comment, run by a real shell.

GitHub and GitLab cannot be had here: a program ``gh`` and an HTTP server with their few calls stand for them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from genops_lab.gates.templates import example

MARK = "<!-- genops gates -->"

#: ``gh api`` with the calls of the job: comments are in a file. jq does what gh's own jq does.
GH = r"""#!/usr/bin/env python3
import json, os, subprocess, sys
arguments = sys.argv[1:]
assert arguments.pop(0) == "api" and os.environ["GH_TOKEN"] == "token"
method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
path = next(each for each in arguments if each.startswith("repos/"))
store = os.environ["STORE"]
comments = json.load(open(store))
if method == "GET":
    assert path == "repos/ada/digits/issues/7/comments?per_page=100"
    jq = ["jq", "-r", arguments[arguments.index("--jq") + 1]]
    sys.exit(subprocess.run(jq, input=json.dumps(comments).encode()).returncode)
body = open(next(each for each in arguments if each.startswith("body=@"))[6:]).read()
if method == "POST":
    assert path == "repos/ada/digits/issues/7/comments"
    comments.append({"id": 100 + len(comments), "user": {"login": "github-actions[bot]"}, "body": body})
else:
    assert method == "PATCH"
    [found] = [each for each in comments if path == f"repos/ada/digits/issues/comments/{each['id']}"]
    found["body"] = body
json.dump(comments, open(store, "w"))
"""


def run(script: str, folder: Path, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "token" not in done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_github_has_one_comment_which_is_updated(tmp_path: Path) -> None:
    jobs = yaml.safe_load(example("github.yml"))["jobs"]
    script = next(each["run"] for each in jobs["comment"]["steps"] if each.get("name") == "Comment")
    gh, store, work = tmp_path / "bin" / "gh", tmp_path / "comments.json", tmp_path / "work"
    gh.parent.mkdir()
    work.mkdir()
    gh.write_text(GH)
    gh.chmod(0o700)
    others = [
        {"id": 1, "user": {"login": "eve"}, "body": f"{MARK}\nnot mine"},
        {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "another workflow"},
    ]
    store.write_text(json.dumps(others))

    def comment() -> list[dict[str, Any]]:
        run(
            script, work, PATH=f"{gh.parent}:{os.environ['PATH']}", STORE=str(store), GH_TOKEN="token",
            COMMENTS="repos/ada/digits/issues/7/comments",
        )  # fmt: skip
        found: list[dict[str, Any]] = json.loads(store.read_text())
        assert found[:2] == others and len(found) == 3
        return found

    assert "The gates were not checked" in comment()[2]["body"]
    (work / "gates.md").write_text("## Gates of digits version 2: Fail\n")
    assert comment()[2]["body"] == f"{MARK}\n## Gates of digits version 2: Fail\n"
    (work / "gates.md").write_text("x" * 200_000)
    assert len(comment()[2]["body"]) < 65_536


def test_only_the_commenting_job_may_write_and_forks_are_told_why() -> None:
    found = yaml.safe_load(example("github.yml"))
    assert found["permissions"] == {"contents": "read"}
    jobs = found["jobs"]
    assert {name: job["permissions"] for name, job in jobs.items() if "permissions" in job} == {
        "comment": {"pull-requests": "write"}, "fork": {},
    }  # fmt: skip
    # The token of the commenting job meets no code of the pull request.
    assert not any("checkout" in str(step) or "pip" in str(step) for step in jobs["comment"]["steps"])
    assert "gives a pull request of a fork no secrets" in jobs["fork"]["steps"][0]["run"]
    assert "pull_request_target" not in example("github.yml")


class Notes(BaseHTTPRequestHandler):
    notes: list[dict[str, Any]]

    def answer(self, content: Any) -> None:
        assert self.headers["PRIVATE-TOKEN"] == "token"
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> str:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        return urllib.parse.parse_qs(text)["body"][0]

    def do_GET(self) -> None:
        self.answer(self.notes)

    def do_POST(self) -> None:
        assert self.path == "/projects/3/merge_requests/7/notes"
        self.notes.append({"id": 40 + len(self.notes), "body": self.body()})
        self.answer({})

    def do_PUT(self) -> None:
        [found] = [each for each in self.notes if self.path.endswith(f"/notes/{each['id']}")]
        found["body"] = self.body()
        self.answer({})

    def log_message(self, *_given: object) -> None:
        pass


@contextmanager
def gitlab(notes: list[dict[str, Any]]) -> Iterator[str]:
    handler = type("Handler", (Notes,), {"notes": notes})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_gitlab_has_one_comment_which_is_updated(tmp_path: Path) -> None:
    [script] = yaml.safe_load(example("gitlab.yml"))["comment"]["script"]
    notes: list[dict[str, Any]] = [{"id": 1, "body": "looks good"}]
    with gitlab(notes) as url:
        for text in ("Fail & <50 % of 'it' = ü", "Pass"):
            (tmp_path / "gates.md").write_text(f"{text}\n")
            run(
                script, tmp_path, CI_API_V4_URL=url, CI_PROJECT_ID="3", CI_MERGE_REQUEST_IID="7",
                GATES_TOKEN="token", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1",
            )  # fmt: skip
            assert [each["body"] for each in notes] == ["looks good", f"{MARK}\n{text}\n"]
