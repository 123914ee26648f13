"""What travels and what is left alone, between real folders through a real sshd."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.errors import GenOpsError
from genops_lab.kernels.folders.download import Progress, Report
from tests.kernels.folders.scenes import Scene, a_scene, always, git, write
from tests.support.rooms import eventually


@pytest.fixture(scope="module")
def world() -> Iterator[Scene]:
    with a_scene() as found:
        yield found


@pytest.fixture
def scene(world: Scene, request: pytest.FixtureRequest) -> Scene:
    """A project of its own for each test."""
    world.here = world.place.home.work / request.node.name[:60]
    world.here.mkdir()
    return world


def test_only_what_changed_travels(scene: Scene) -> None:
    write(scene.here, {"a.py": "a", "b/c.txt": "c", "b/big": os.urandom(700_000), "empty": ""})
    (scene.here / "run.sh").write_text("x")
    (scene.here / "run.sh").chmod(0o755)
    (scene.here / "private").write_text("x")
    (scene.here / "private").chmod(0o600)
    (scene.here / "out").mkdir()
    first = scene.push()
    assert set(first.done) == {"a.py", "b/c.txt", "b/big", "empty", "run.sh", "private"} == first.new
    there = scene.there()
    assert (there / "b" / "big").read_bytes() == (scene.here / "b" / "big").read_bytes()
    assert os.access(there / "run.sh", os.X_OK) and not os.access(there / "a.py", os.X_OK)
    assert there.stat().st_mode & 0o077 == 0 == there.parent.stat().st_mode & 0o077
    assert (there / "private").stat().st_mode & 0o077 == 0 and (there / "out").is_dir()
    assert (there / "a.py").stat().st_mtime_ns == (scene.here / "a.py").stat().st_mtime_ns
    assert scene.push().done == {}
    write(scene.here, {"a.py": "changed"})
    os.utime(scene.here / "b" / "big", (1, 1))  # touched, and the same
    (scene.here / "empty").chmod(0o755)
    second = scene.push()
    assert set(second.done) == {"a.py", "empty"} and second.new == set()
    assert (there / "a.py").read_text() == "changed" and os.access(there / "empty", os.X_OK)


def test_a_deletion_follows_only_where_nothing_was_made_of_the_copy(scene: Scene) -> None:
    write(scene.here, {"gone/a": "a", "kept": "k", "stays": "s"})
    scene.push()
    there = scene.there()
    write(there, {"kept": "better", "gone-not/result": "r"})
    (scene.here / "gone" / "a").unlink()
    (scene.here / "kept").unlink()
    report = scene.push()
    assert report.deleted == ["gone/a"] and report.conflicts == {}
    assert scene.files_there() == ["gone-not/result", "kept", "stays"]
    assert not (there / "gone").exists() and (there / "kept").read_text() == "better"


def test_what_is_left_out_by_a_new_rule_is_not_deleted_there(scene: Scene) -> None:
    write(scene.here, {"data/x": "x", "a": "a"})
    scene.push()
    write(scene.here, {".genopsignore": "data/\n"})
    assert scene.push().deleted == [] and "data/x" in scene.files_there()


def test_rules_say_what_travels(scene: Scene) -> None:
    write(
        scene.here,
        {
            ".gitignore": "data/\n*.log\n",
            ".genopsignore": "# mine\n*.tmp\n!data/small.csv\n/only-here\n",
            "data/small.csv": "1",
            "data/large.csv": "2",
            "x.log": "",
            "x.tmp": "",
            "only-here/a": "",
            "deep/only-here/a": "",
            ".env": "KEY=secret",
            ".env.example": "KEY=",
            "mlruns/0/meta": "",
            "node_modules/x.js": "",
            "untracked.py": "",
            "tracked.py": "",
            "deleted.py": "",
        },
    )
    git(scene.here, "init")
    git(scene.here, "add", "tracked.py", "deleted.py")
    (scene.here / "deleted.py").unlink()
    inner = scene.here / "inner"
    inner.mkdir()
    git(inner, "init")
    write(inner, {"own.py": ""})
    git(inner, "add", ".")
    git(inner, "commit", "-m", "x")
    (scene.here / "link").symlink_to("tracked.py")
    report = scene.push(scene.here / "deep" / "only-here")
    assert scene.files_there() == [
        ".env.example", ".genopsignore", ".gitignore", "data/small.csv", "deep/only-here/a", "tracked.py",
        "untracked.py",
    ]  # fmt: skip
    assert set(report.left_out) == {"inner/", "link"}


def test_without_git_all_but_the_rules_travels(scene: Scene) -> None:
    write(
        scene.here,
        {"a": "", ".git-is-no-repository": "", "x/__pycache__/y.pyc": "", "v/pyvenv.cfg": "", "v/b": ""},
    )
    (scene.here / "l").symlink_to("/etc/passwd")
    report = scene.push()
    assert scene.files_there() == [".git-is-no-repository", "a"] and set(report.left_out) == {"l"}


NAMES = [
    "two words",
    "new\nline",
    "ünï/cödé",
    "'quotes\"",
    "-dash",
    "emoji-\N{SNAKE}",
    "tab\t",
    "back\\slash",
    "a" * 250,
]


def test_names_of_all_kinds_go_and_come(scene: Scene) -> None:
    write(scene.here, {name: name for name in NAMES})
    git(scene.here, "init")
    assert scene.push().failed == {} and scene.files_there() == sorted(NAMES)
    there = scene.there()
    for name in NAMES:
        (there / name).write_text("new " + name)
    assert set(scene.pull().done) == set(NAMES)
    assert [(scene.here / name).read_text() for name in NAMES] == ["new " + name for name in NAMES]


def test_a_name_that_is_no_utf8_is_said_and_stays(scene: Scene) -> None:
    write(scene.here, {"a": ""})
    Path(os.fsdecode(os.fsencode(scene.here) + b"/\xff")).write_text("x")
    assert list(scene.push().left_out.values()) == ["It cannot be read, or its name is not UTF-8."]
    assert scene.files_there() == ["a"]


def test_results_come_back_and_nothing_is_overwritten(scene: Scene) -> None:
    write(scene.here, {"a": "a", "both": "b", "mine": "m", "theirs": "t"})
    scene.push()
    there = scene.there()
    write(there, {"out/model": "weights", "both": "there", "theirs": "newer", "run": "r", "same": "s"})
    (there / "run").chmod(0o755)
    write(scene.here, {"both": "here", "mine": "edited", "same": "s"})
    look = scene.look()
    assert set(look.pull.bring) == {"out/model", "theirs", "run"}
    assert set(look.push.send) == {"mine"} and set(look.push.conflicts) == {"both"} == set(
        look.pull.conflicts
    )
    report = scene.pull()
    assert set(report.done) == {"out/model", "theirs", "run"} and set(report.conflicts) == {"both"}
    assert (scene.here / "out" / "model").read_text() == "weights" and (
        scene.here / "both"
    ).read_text() == "here"
    assert os.access(scene.here / "run", os.X_OK)
    assert set(scene.push().conflicts) == {"both"} and (there / "both").read_text() == "there"
    assert (there / "mine").read_text() == "edited"
    assert scene.pull().done == {}


def test_a_conflict_is_decided_either_way_and_both_are_kept(scene: Scene) -> None:
    write(scene.here, {"x.py": "1", "y.py": "1"})
    scene.push()
    there = scene.there()
    for name in ("x.py", "y.py"):
        write(there, {name: "theirs"})
        write(scene.here, {name: "mine!"})
    kept = scene.pull(replace=True, wanted=lambda path: path == "x.py").kept["x.py"]
    assert (scene.here / "x.py").read_text() == "theirs" and (scene.here / kept).read_text() == "mine!"
    kept = scene.push(replace=True).kept["y.py"]
    assert (there / "y.py").read_text() == "mine!" and (there / kept).read_text() == "theirs"
    assert scene.look().push.conflicts == {}


def test_pulled_paths_never_leave_the_folder_or_reach_what_rules_leave_out(scene: Scene) -> None:
    outside = scene.place.home.work / "outside"
    outside.mkdir(exist_ok=True)
    write(scene.here, {"a": "", ".genopsignore": "private/\n"})
    (scene.here / "linked").symlink_to(outside)
    scene.push()
    write(
        scene.there(),
        {
            "linked/evil": "x",
            ".git/hooks/post-checkout": "x",
            "sub/.GIT/config": "x",
            "private/x": "x",
            "ok": "x",
        },
    )
    report = scene.pull()
    assert set(report.done) == {"ok"} and list(outside.iterdir()) == []
    assert set(report.failed) == {"linked/evil"}
    assert not (scene.here / ".git").exists() and not (scene.here / "private").exists()


def test_links_there_are_not_followed_in_either_direction(scene: Scene) -> None:
    write(scene.here, {"data/x": "x", "a": "a"})
    scene.push()
    there, elsewhere = scene.there(), scene.host.home / "elsewhere"
    elsewhere.mkdir()
    (there / "data" / "x").unlink()
    (there / "data").rmdir()
    (there / "data").symlink_to(elsewhere)
    (there / "secret").symlink_to("/etc/passwd")
    assert scene.push().failed == {} and list(elsewhere.iterdir()) == []
    assert scene.pull().done == {} and not (scene.here / "secret").exists()


def test_an_unreadable_file_is_said_and_the_rest_travels(scene: Scene) -> None:
    write(scene.here, {"a": "a", "b": "b"})
    (scene.here / "pipe").mkdir()
    os.mkfifo(scene.here / "pipe" / "fifo")
    assert set(scene.push().done) == {"a", "b"}


def test_a_file_in_the_way_of_a_folder_is_said(scene: Scene) -> None:
    write(scene.here, {"a/b": "x", "c": "c"})
    scene.push()
    there = scene.there()
    (there / "a" / "b").unlink()
    (there / "a").rmdir()
    (there / "a").write_text("a result")
    report = scene.push()
    assert set(report.failed) == {"a/b"} and (there / "a").read_text() == "a result"


def test_a_folder_that_was_lost_there_is_sent_again(scene: Scene) -> None:
    import shutil

    write(scene.here, {"a": "a"})
    scene.push()
    shutil.rmtree(scene.there())
    assert set(scene.push().done) == {"a"} and scene.files_there() == ["a"]


def test_equal_files_are_known_again_where_the_memory_was_lost(scene: Scene) -> None:
    write(scene.here, {"a": "a", "b": "b"})
    scene.push()
    scene.folders.memories._path(scene.place.route.target, str(scene.here.resolve())).unlink()
    write(scene.here, {"b": "B"})
    report = scene.push()
    assert report.done == {} and set(report.conflicts) == {"b"}


def test_a_cut_leaves_no_half_file_and_the_push_goes_on(scene: Scene) -> None:
    write(scene.here, {f"f{number}": os.urandom(400_000) for number in range(40)})
    scene.folder()

    class Cutting(Progress):
        cuts = 0

        def came(self, count: int) -> None:
            super().came(count)
            if self.cuts < 2 and self.done > 4_000_000:
                self.cuts += 1
                self.done = 0
                scene.host.kill_sessions()

    progress = Cutting()
    report: Report = scene.place.do(scene.folder().push(progress, always))
    assert progress.cuts == 2 and report.failed == {} and report.conflicts == {}
    assert len(report.done) < 40  # what had arrived was not sent again
    there = scene.there()
    names = sorted(f"f{number}" for number in range(40))
    # What the cut connections' agents had begun goes when they notice.
    eventually(scene.files_there, lambda found: found == names)
    assert all((there / name).read_bytes() == (scene.here / name).read_bytes() for name in names)


def test_a_folder_that_cannot_be_written_there_is_said(scene: Scene, tmp_path: Path) -> None:
    write(scene.here, {"a": "a"})
    target = scene.there()
    target.parent.mkdir(exist_ok=True)
    target.write_text("a file stands in the way")
    with pytest.raises(GenOpsError, match="cannot be used on the host"):
        scene.push()


def test_the_home_folder_itself_never_travels(scene: Scene) -> None:
    from genops_lab.kernels.folders.local_folder import NotSendable, place_of

    home = scene.place.home.path
    for path in (home, home.parent, Path("/")):
        with pytest.raises(NotSendable):
            place_of(str(path))
    git(home, "init")
    try:
        (home / "dotted").mkdir()
        assert place_of(str(home / "dotted")).root == str((home / "dotted").resolve())
        with pytest.raises(NotSendable):
            place_of(str(home))
    finally:
        import shutil

        shutil.rmtree(home / ".git")
