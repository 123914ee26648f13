"""``genops models card`` and ``genops models bom`` against a running Lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.quota import fill, make_read_only, small_disk
from tests.support.rooms import Logged

from .conftest import RunningLab


def test_a_card_is_written_changed_and_kept(lab: RunningLab, digits: Logged, tmp_path: Path) -> None:
    assert lab.call("models", "register", "carded", "--run", digits.run_id).code == 0
    printed = lab.call("models", "card", "carded")
    assert printed.code == 0, printed.err
    assert printed.out.startswith("---\n") and "# carded version 1" in printed.out
    file = tmp_path / "README.md"
    written = lab.call("models", "card", "carded", "--output", str(file))
    assert file.read_text() == printed.out
    assert "intended use" in " ".join(written.out.split())

    text = file.read_text().replace("> **Missing: limits.** Write where", "Fails on sevens. Write where")
    file.write_text(text)
    kept = lab.call("models", "card", "carded", "--version", "1", "--from", str(file), "--json")
    assert kept.code == 0, kept.err
    assert kept.json["kept"] and "Fails on sevens." in kept.json["text"]
    page = tmp_path / "card.html"
    assert lab.call("models", "card", "carded", "--html", "--output", str(page)).code == 0
    assert "Fails on sevens." in page.read_text() and "<!doctype html>" in page.read_text()
    assert lab.call("models", "card", "carded", "--from", str(tmp_path / "none.md")).code == 2
    assert lab.call("models", "card", "carded", "--output", str(tmp_path / "none" / "x.md")).code == 1
    assert lab.call("models", "card", "nobody").code == 3


def test_a_bill_of_materials_is_printed_or_written(lab: RunningLab, digits: Logged, tmp_path: Path) -> None:
    assert lab.call("models", "register", "billed", "--run", digits.run_id).code == 0
    printed = lab.call("models", "bom", "billed")
    assert printed.code == 0, printed.err
    document = json.loads(printed.out)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    files = {each["name"] for each in document["metadata"]["component"]["components"]}
    assert {"MLmodel", "requirements.txt"} <= files
    file = tmp_path / "bom.json"
    assert lab.call("models", "bom", "billed", "--version", "1", "--output", str(file)).code == 0
    assert json.loads(file.read_text())["serialNumber"] == document["serialNumber"]
    assert lab.call("models", "bom", "billed", "--json").json["bomFormat"] == "CycloneDX"


@pytest.mark.parametrize("trouble", [fill, make_read_only])
def test_a_disk_that_takes_nothing_keeps_the_earlier_file(
    lab: RunningLab, digits: Logged, tmp_path: Path, trouble: Callable[[Path], None]
) -> None:
    assert lab.call("models", "register", "full", "--run", digits.run_id).code == 0
    with small_disk(tmp_path / "small", "16k") as disk:
        (disk / "earlier").write_text("earlier\n")
        trouble(disk)
        for verb in ("card", "bom"):
            for name in ("earlier", "new"):
                done = lab.call("models", verb, "full", "--output", str(disk / name))
                assert done.code == 1 and f"{disk / name} cannot be written: " in done.err, done
                assert "give another file with --output" in done.err
        assert (disk / "earlier").read_text() == "earlier\n"
        assert {each.name for each in disk.iterdir()} - {"filler"} == {"earlier"}
