"""Folders and sockets of this user's own, on local disk, whatever the host looks like."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from genops_lab.agent import paths
from genops_lab.agent.state_file import STATE_BYTES, FolderLock, read_state, write_state
from genops_lab.core.paths import runtime_dir

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/ada/scratch\\040space xfs rw 0 0
scratch /scratch lustre rw 0 0
sshfs#x /mnt/ssh fuse.sshfs rw 0 0
overlay /var fuse.fuse-overlayfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/root/x", True),
        ("/home/ada", False),
        ("/home/ada/.local/state", False),
        ("/homestead", True),
        ("/home/ada/scratch space/x", True),
        ("/scratch/ada", False),
        ("/mnt/ssh/x", False),
        ("/var/tmp", True),
    ],
)
def test_the_mounts_say_what_is_local(tmp_path: Path, path: str, local: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert paths.is_local(path, str(mounts)) is local


def test_without_mounts_nothing_is_claimed(tmp_path: Path) -> None:
    assert paths.is_local("/home", str(tmp_path / "missing")) is None


def test_a_folder_is_made_private_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert paths.private_folder(str(folder)) == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    paths.private_folder(str(folder))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("x")
    for name in ("link", "file"):
        with pytest.raises(paths.UnsafeFolder):
            paths.private_folder(str(tmp_path / name))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(paths.UnsafeFolder):
        paths.private_folder(str(tmp_path / "theirs"))


def test_the_next_candidate_serves_where_one_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    found = [str(tmp_path / "link"), str(tmp_path / "good")]
    monkeypatch.setattr(paths, "candidates", lambda: found)
    assert paths.state_folder() == (str(tmp_path / "good"), True)
    monkeypatch.setattr(paths, "is_local", lambda path: not path.endswith("good"))
    with pytest.raises(paths.UnsafeFolder):
        paths.private_folder(found[0])
    found[0] = str(tmp_path / "local")
    assert paths.state_folder() == (str(tmp_path / "local"), True)
    monkeypatch.setattr(paths, "is_local", lambda path: False)
    assert paths.state_folder() == (str(tmp_path / "local"), False)


def test_kernels_are_found_in_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [str(tmp_path / "a"), str(tmp_path / "b")]
    monkeypatch.setattr(paths, "candidates", lambda: [found[0]])
    paths.new_unit_folder("one")
    monkeypatch.setattr(paths, "candidates", lambda: [found[1]])
    paths.new_unit_folder("two")
    monkeypatch.setattr(paths, "candidates", lambda: found)
    assert paths.known_units() == ["one", "two"]
    assert paths.unit_folder("two") == str(tmp_path / "b" / "kernels" / "two")
    assert paths.unit_folder("three") is None
    again = Path(paths.new_unit_folder("one"))
    assert list(again.iterdir()) == []


def test_a_long_path_gets_a_short_folder_for_its_sockets(tmp_path: Path) -> None:
    folder = Path(paths.private_folder(str(tmp_path / ("long" * 30))))
    sockets = Path(paths.socket_folder(str(folder)))
    try:
        assert sockets != folder and sockets.stat().st_mode & 0o777 == 0o700
        assert paths.socket_folder(str(folder)) == str(sockets)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(sockets / "keeper.sock"))
        listener.close()
    finally:
        paths.forget(str(folder))
    assert not sockets.exists() and not folder.exists()


def test_ids_cannot_leave_their_folder() -> None:
    assert paths.unit_id_is_valid("0d0f2f61-6c52-4b13-ae40-6e2a1d1c7f70")
    for bad in ("", ".", "..", ".x", "a/b", "a\n", "-x", "x" * 65, None, 7):
        assert not paths.unit_id_is_valid(bad)


def test_a_state_is_written_in_place_and_read_back(tmp_path: Path) -> None:
    write_state(str(tmp_path), {"state": "running", "reason": "x" * 1000})
    path = tmp_path / "state.json"
    inode = path.stat().st_ino
    assert path.stat().st_size == STATE_BYTES and path.stat().st_mode & 0o777 == 0o600
    write_state(str(tmp_path), {"state": "ended"})
    assert read_state(str(tmp_path)) == {"state": "ended"}
    assert (path.stat().st_ino, path.stat().st_size) == (inode, STATE_BYTES)
    with pytest.raises(ValueError, match="too large"):
        write_state(str(tmp_path), {"reason": "x" * STATE_BYTES})
    assert read_state(str(tmp_path / "missing")) is None


def test_a_folder_belongs_to_one(tmp_path: Path) -> None:
    first, second = FolderLock(str(tmp_path)), FolderLock(str(tmp_path))
    assert first.take() and not second.take()
    first.release()
    assert second.take()
    second.release()


@pytest.fixture(params=["link", "file", "another user's"])
def squatted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A shared folder like /tmp in which somebody else was first."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    for name in (f"genops-lab-{os.getuid()}", f"genops-{os.getuid()}"):
        if request.param == "link":
            (shared / name).symlink_to(tmp_path)
        elif request.param == "file":
            (shared / name).write_text("x")
        elif os.getuid() == 0:
            (shared / name).mkdir()
            os.chown(shared / name, 12345, 12345)
        else:
            pytest.skip("only root can give a folder away")
    return shared


def test_a_name_that_somebody_else_took_first_stops_no_kernel(
    squatted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_SHARED_FOLDERS", (str(squatted),))
    monkeypatch.setenv("XDG_STATE_HOME", "nowhere")  # no home on a local disk
    monkeypatch.delenv("GENOPS_AGENT_STATE", raising=False)
    state, _ = paths.state_folder()
    assert os.path.dirname(state) == str(squatted)
    assert os.lstat(state).st_mode & 0o777 == 0o700 and os.lstat(state).st_uid == os.getuid()
    assert paths.state_folder()[0] == state
    kernel = paths.new_unit_folder("one")
    assert os.path.dirname(kernel) == f"{state}/kernels" and paths.unit_folder("one") == kernel
    far = paths.private_folder(str(tmp_path / ("long" * 30)))
    sockets = paths.socket_folder(far)
    assert sockets.startswith(f"{squatted}/genops-lab-{os.getuid()}-")
    # Of two that were made in one moment, the one that has the kernel's sockets counts.
    (squatted / f"genops-lab-{os.getuid()}-0000").mkdir(0o700)
    assert paths.socket_folder(far) == sockets


def test_a_lab_finds_another_name_for_its_sockets(squatted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(squatted))
    for name in ("XDG_RUNTIME_DIR", "GENOPS_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    found = runtime_dir()
    assert found.parent == squatted and found.lstat().st_mode & 0o777 == 0o700
    assert runtime_dir() == found
