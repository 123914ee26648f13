"""Signatures of model folders, made and verified with the real model-signing."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.registry import signing
from genops_lab.registry.signing import Signature
from tests.support.quota import small_disk
from tests.support.signing_keys import Keys, make_keys

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("model_signing") is None, reason="model-signing is missing"
)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def write_model(folder: Path, weights: str = "weights") -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / ".gitattributes").write_text("*.bin filter=lfs\n")
    (folder / "data" / "Gewichte ü.bin").write_text(weights)
    return folder


def sign(model: Path, keys: Keys, password: str = "") -> str:
    """Sign as the service does; the fingerprint."""
    content, fingerprint = signing.sign(model, str(keys.private), password)
    place = signing.beside(model) / signing.SIGNATURE
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)
    return fingerprint


def test_a_signed_model_is_valid_and_says_whose_key_it_was(model: Path, keys: Keys) -> None:
    fingerprint = sign(model, keys)
    found = signing.verify(model, keys.public)
    assert found == Signature(
        state="valid",
        who=f"release.pub (key {fingerprint[:16]})",
        place=str(signing.beside(model) / signing.SIGNATURE),
    )
    moved = model.rename(model.with_name("renamed"))
    assert signing.verify(moved, keys.public, signing.beside(model) / signing.SIGNATURE).state == "valid"
    assert signing.verify(moved, keys.public).state == "unsigned"


def test_the_signature_is_a_sigstore_bundle_that_the_library_verifies_itself(model: Path, keys: Keys) -> None:
    sign(model, keys)
    place = signing.beside(model) / signing.SIGNATURE
    assert json.loads(place.read_bytes())["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    command = [sys.executable, "-m", "model_signing", "verify", "key", "--signature", str(place)]
    command += ["--public_key", str(keys.public), "--no-ignore-git-paths", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (lambda model: (model / "MLmodel").write_text("flavors: []\n"), "MLmodel changed"),
    "changed git file": (lambda model: (model / ".gitattributes").write_text(""), ".gitattributes changed"),
    "added": (lambda model: (model / "data" / "loader.py").write_text(""), "data/loader.py was added"),
    "added git file": (lambda model: (model / ".gitignore").write_text(""), ".gitignore was added"),
    "removed": (lambda model: (model / "data" / "Gewichte ü.bin").unlink(), "Gewichte ü.bin was removed"),
    "renamed": (
        lambda model: (model / "MLmodel").rename(model / "mlmodel"),
        "mlmodel was added; MLmodel was removed",
    ),
    "many": (
        lambda model: [(model / f"{at}.py").write_text("") for at in range(5)],
        "0.py, 1.py, 2.py and 2 more were added",
    ),
    "link inside": (lambda model: (model / "x").symlink_to(model / "MLmodel"), "x: It is a link to another"),
    "link outside": (lambda model: (model / "x").symlink_to("/etc/hostname"), "x: It is a link out of"),
    "linked folder": (lambda model: (model / "x").symlink_to("/etc"), "x: It is a link out of"),
    "hard link": (
        lambda model: (model.parent / "elsewhere").hardlink_to(model / "MLmodel"),
        "MLmodel: It is a hard link",
    ),
    "pipe": (lambda model: os.mkfifo(model / "x"), "x: It is a special file"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_differ_from_the_signed_ones_are_refused(model: Path, keys: Keys, change: str) -> None:
    sign(model, keys)
    make, said = CHANGES[change]
    make(model)
    found = signing.verify(model, keys.public)
    assert found.state == "invalid"
    assert said in found.reason


def test_a_file_swapped_for_a_link_to_the_same_content_is_refused(model: Path, keys: Keys) -> None:
    sign(model, keys)
    copy = model.parent / "copy"
    (model / "MLmodel").rename(copy)
    (model / "MLmodel").symlink_to(copy)
    assert signing.verify(model, keys.public).state == "invalid"


def test_a_link_cannot_be_signed(model: Path, keys: Keys) -> None:
    (model / "x").symlink_to("/etc/hostname")
    with pytest.raises(Failed, match="x: It is a link out of the model's folder"):
        signing.sign(model, str(keys.private))


def test_a_signature_that_leaves_paths_out_does_not_cover_files_there(model: Path, keys: Keys) -> None:
    from model_signing import hashing
    from model_signing import signing as library

    place = signing.beside(model) / signing.SIGNATURE
    place.parent.mkdir()
    config = library.Config().use_elliptic_key_signer(private_key=keys.private)
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=["data"])).sign(model, place)
    found = signing.verify(model, keys.public)
    assert found.state == "invalid"
    assert "data/Gewichte ü.bin were added" in found.reason
    # As that library's own command signs, which leaves paths of git out: none is there.
    (model / ".gitattributes").unlink()
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=[])).sign(model, place)
    assert signing.verify(model, keys.public).state == "valid"


def test_another_key_is_refused_and_each_trusted_one_counts(model: Path, keys: Keys, tmp_path: Path) -> None:
    other = make_keys(tmp_path, "other")
    fingerprint = sign(model, other)
    found = signing.verify(model, keys.public)
    assert (found.state, found.who) == ("invalid", f"key {fingerprint[:16]}")
    assert found.reason == "Another key signed the files, not that of release.pub."
    assert signing.verify(model, [keys.public, other.public]).who.startswith("other.pub")
    # A signature that names the trusted key, and is of another one.
    bundle = json.loads((signing.beside(model) / signing.SIGNATURE).read_bytes())
    bundle["verificationMaterial"]["publicKey"]["hint"] = signing.fingerprint(keys.public)
    (signing.beside(model) / signing.SIGNATURE).write_text(json.dumps(bundle))
    forged = signing.verify(model, keys.public)
    assert (forged.state, forged.reason[:25]) == ("invalid", "The signature is damaged:")


def test_the_signature_of_another_model_is_refused(model: Path, keys: Keys, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", "other weights")
    sign(other, keys)
    found = signing.verify(model, keys.public, signing.beside(other) / signing.SIGNATURE)
    assert (found.state, found.reason) == (
        "invalid",
        "Since the files were signed: data/Gewichte ü.bin changed.",
    )


def damaged(content: bytes) -> dict[str, bytes]:
    bundle = json.loads(content)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    statement["predicate"]["resources"] = statement["predicate"]["resources"][1:]
    swapped = json.loads(content)
    swapped["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    nameless = json.loads(content)
    del nameless["verificationMaterial"]["publicKey"]["hint"]
    return {
        "empty": b"",
        "half": content[: len(content) // 2],
        "text": b"hello",
        "list": b"[]",
        "deep": b"[" * 100_000,
        "not utf-8": b"\xff\xfe",
        "no key": json.dumps(nameless).encode(),
        "statement swapped": json.dumps(swapped).encode(),
        "signature cut": content.replace(bundle["dsseEnvelope"]["signatures"][0]["sig"].encode(), b"AAAA"),
        "no signatures": content.replace(b'"signatures"', b'"Signatures"'),
    }


@pytest.mark.parametrize(
    "how",
    [
        *("empty", "half", "text", "list", "deep", "not utf-8", "no key"),
        *("statement swapped", "signature cut", "no signatures"),
    ],
)
def test_a_damaged_signature_is_invalid(model: Path, keys: Keys, how: str) -> None:
    sign(model, keys)
    place = signing.beside(model) / signing.SIGNATURE
    place.write_bytes(damaged(place.read_bytes())[how])
    found = signing.verify(model, keys.public)
    assert found.state == "invalid"
    assert "damaged" in found.reason


def test_what_cannot_be_checked_is_said(model: Path, keys: Keys, tmp_path: Path) -> None:
    sign(model, keys)
    assert "No public key is given" in signing.verify(model, []).reason
    found = signing.verify(model, tmp_path / "nowhere.pub")
    assert found.state == "cannot be checked"
    assert "nowhere.pub cannot be read: No such file" in found.reason
    assert "is not a public key" in signing.verify(model, keys.private).reason


def test_keys_that_cannot_sign_are_refused_with_what_to_do(model: Path, keys: Keys, tmp_path: Path) -> None:
    locked = make_keys(tmp_path, "locked", "s3cret")
    with pytest.raises(InvalidRequest, match="is encrypted"):
        signing.sign(model, str(locked.private))
    with pytest.raises(InvalidRequest, match="or its password is wrong"):
        signing.sign(model, str(locked.private), "wrong")
    with pytest.raises(InvalidRequest, match="is not encrypted"):
        signing.sign(model, str(keys.private), "s3cret")
    with pytest.raises(InvalidRequest, match="is not a private key"):
        signing.sign(model, str(keys.public))
    with pytest.raises(InvalidRequest, match="cannot be read: No such file"):
        signing.sign(model, str(tmp_path / "nowhere.key"))
    sign(model, locked, "s3cret")
    assert signing.verify(model, locked.public).state == "valid"


def test_nothing_of_the_model_is_loaded(tmp_path: Path, keys: Keys) -> None:
    model = write_model(tmp_path / "hostile")
    (model / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    (model / "sitecustomize.py").write_text("open('pwned', 'w')")
    sign(model, keys)
    assert signing.verify(model, keys.public).state == "valid"
    assert not Path("pwned").exists()


def test_a_full_disk_is_an_error_of_the_disk(model: Path, keys: Keys, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "64k") as disk, pytest.MonkeyPatch.context() as patch:
        (disk / "filler").write_bytes(b"0" * 64 * 1024)
        patch.setattr("tempfile.tempdir", str(disk))
        with pytest.raises(OSError, match="No space left"):
            signing.sign(model, str(keys.private))


def test_a_key_on_a_token_signs(
    model: Path, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("PyKCS11", reason="PyKCS11 is missing")
    program = shutil.which("softhsm2-util")
    if program is None:
        pytest.skip("softhsm2-util is missing")
    library = next(Path(program).parents[1].glob("lib/**/libsofthsm2.so"), None)
    if library is None:
        pytest.skip("libsofthsm2.so is missing")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(
        f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    for arguments in (
        ["--init-token", "--free", "--label", "team", "--pin", "1234", "--so-pin", "1234"],
        [
            *("--import", str(keys.private), "--token", "team", "--label", "release"),
            *("--id", "01", "--pin", "1234"),
        ],
    ):
        subprocess.run([program, "--module", library, *arguments], check=True, capture_output=True)
    uri = f"pkcs11:token=team;object=release?module-path={library}&pin-value="
    content, fingerprint = signing.sign(model, f"{uri}1234")
    assert fingerprint == signing.fingerprint(keys.public)
    (tmp_path / "model.sig").write_bytes(content)
    assert signing.verify(model, keys.public, tmp_path / "model.sig").state == "valid"
    with pytest.raises(InvalidRequest, match="PKCS#11 key cannot be used: CKR_PIN_INCORRECT"):
        signing.sign(model, f"{uri}9999")
