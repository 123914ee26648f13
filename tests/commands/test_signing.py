"""``genops models sign`` and ``verify`` against a running Lab."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.rooms import Logged
from tests.support.signing_keys import make_keys

from .conftest import RunningLab

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("model_signing") is None, reason="model-signing is missing"
)


def test_a_version_is_signed_and_verified(lab: RunningLab, digits: Logged, tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    locked = make_keys(tmp_path, "locked", "s3cret")
    assert lab.call("models", "register", "to sign", "--run", digits.run_id).code == 0

    verify = ("models", "verify", "to sign", "--key", str(keys.public))
    unsigned = lab.call(*verify, "--json")
    assert (unsigned.code, unsigned.json["state"]) == (1, "unsigned")

    signed = lab.call("models", "sign", "to sign", "--key", str(keys.private))
    assert signed.code == 0, signed.err
    assert "signed" in signed.out and ".genops/model-" in signed.out
    valid = lab.call(*verify)
    assert valid.code == 0, valid.err
    assert "valid" in valid.out and "release.pub" in valid.out

    other = lab.call("models", "verify", "to sign", "--version", "1", "--key", str(locked.public))
    assert other.code == 1
    assert "Another key signed the files, not that of locked.pub." in " ".join(other.out.split())

    asked = lab.call("models", "sign", "to sign", "--key", str(locked.private))
    assert (asked.code, asked.out) == (2, "")
    assert "is encrypted" in asked.err and "GENOPS_KEY_PASSWORD" in asked.err
    given = lab.call("models", "sign", "to sign", "--key", str(locked.private), GENOPS_KEY_PASSWORD="s3cret")
    assert given.code == 0, given.err
    assert lab.call("models", "verify", "to sign", "--key", str(locked.public)).code == 0
    assert lab.call("models", "sign", "to sign", "--key", "nowhere.key").code == 2
    assert lab.call(*verify[:2], "to sign", "--key", str(keys.private)).code == 1
    entries = lab.call("audit", "--json").json["items"]
    assert any(each["operation"].endswith(".sign_version") for each in entries)
    assert "s3cret" not in str(entries)
