"""Fingerprints of what runs read."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from genops_lab.runtime import datasets
from genops_lab.runtime.datasets import DIGEST_LENGTH, fingerprint
from genops_lab.runtime.errors import GenOpsError


def test_a_file_has_the_hash_of_its_content(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"1,2\n")
    os.utime(file, (1000, 2000))
    found = fingerprint(file)
    assert (found.name, found.kind, found.source) == ("rows.csv", "file", str(file))
    assert found.sha256 == hashlib.sha256(b"1,2\n").hexdigest()
    assert found.details == {"size_bytes": 4, "mtime": 2000.0, "sampled": False}
    assert fingerprint(str(file), "train").name == "train"
    event = found.event("training")
    assert event["digest"] == found.sha256[:DIGEST_LENGTH] and event["context"] == "training"
    assert json.loads(event["profile"])["sha256"] == found.sha256
    with pytest.raises(GenOpsError, match="Cannot read"):
        fingerprint(tmp_path / "none")


def test_of_a_huge_file_blocks_from_begin_to_end_count_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "WHOLE_UP_TO_BYTES", 10_000)
    monkeypatch.setattr(datasets, "SAMPLE_BYTES", 100)
    file = tmp_path / "huge.bin"
    content = bytearray(b"a" * 100_000)
    file.write_bytes(content)
    first = fingerprint(file)
    assert first.details["sampled"] is True
    for place in (0, len(content) - 1):
        changed = bytearray(content)
        changed[place] = 98
        file.write_bytes(changed)
        assert fingerprint(file).sha256 != first.sha256
    file.write_bytes(content + b"a")
    assert fingerprint(file).sha256 != first.sha256, "the size counts"


def test_a_folder_is_its_files_names_and_contents(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "a").write_text("1")
        (tmp_path / folder / "sub" / "b").write_text("2")
    first = fingerprint(tmp_path / "one")
    assert first.kind == "folder" and first.details["files"] == 2 and first.details["size_bytes"] == 2
    assert fingerprint(tmp_path / "two").sha256 == first.sha256
    (tmp_path / "two" / "sub" / "b").rename(tmp_path / "two" / "sub" / "c")
    assert fingerprint(tmp_path / "two").sha256 != first.sha256


def test_an_address_is_named_without_credentials_and_not_read() -> None:
    found = fingerprint("s3://ada:a-secret@bucket/train.parquet?X-Amz-Signature=abc")
    assert (found.name, found.source, found.sha256) == ("train.parquet", "s3://bucket/train.parquet", "")
    assert found.digest and "a-secret" not in json.dumps(found.event(""))


def test_objects_differ_by_shape_type_and_content() -> None:
    import pandas as pd

    array = np.arange(6, dtype="float32")
    made = [
        fingerprint(each).sha256
        for each in (array, array.reshape(2, 3), array.astype("float64"), array + 1, np.array([None, "x"]))
    ]
    assert len(set(made)) == len(made)
    assert fingerprint(array.copy()[::1]).sha256 == made[0]
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    found = fingerprint(frame, "table")
    assert (found.name, found.kind, found.details["shape"]) == ("table", "pandas", [2, 2])
    assert fingerprint(frame.copy()).sha256 == found.sha256
    frames = [
        frame.rename(columns={"a": "c"}),
        frame.assign(a=[1, 3]),
        frame.iloc[::-1],
        frame.astype({"a": "float64"}),
    ]
    assert found.sha256 not in {fingerprint(each).sha256 for each in frames}
    assert fingerprint(pd.DataFrame({"a": [[1], {}]})).sha256
    assert fingerprint(frame["a"]).kind == "pandas"
    with pytest.raises(GenOpsError, match="has no fingerprint"):
        fingerprint(object())


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6, dtype=torch.bfloat16)
    found = fingerprint(tensor.requires_grad_())
    assert (found.kind, found.details) == ("torch", {"shape": [6], "dtypes": "torch.bfloat16"})
    assert fingerprint(tensor.clone()).sha256 == found.sha256
    assert fingerprint(tensor.reshape(2, 3)).sha256 != found.sha256
    assert fingerprint(tensor.to(torch.float16)).sha256 != found.sha256
    assert fingerprint(torch.zeros(())).sha256 and fingerprint(torch.zeros((0, 3))).sha256
