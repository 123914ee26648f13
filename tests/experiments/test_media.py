"""Pictures, histograms and tables by step: written where MLflow has them, read whoever wrote them."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genops_lab.core.errors import NotFound
from genops_lab.experiments.media.histograms import KeptHistogram, on_common_bins
from genops_lab.experiments.media.layout import (
    fitting_name,
    is_media,
    parse_part,
    parse_stepped,
    part_name,
    stepped_name,
)
from genops_lab.experiments.media.models import HistogramQuery, MediaSeries, RunMedia
from genops_lab.runtime.histograms import histogram
from genops_lab.runtime.media import MediaSteps, image_event, table_event
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow

from .conftest import Room, Sender, in_the_tests_loop, open_room

UUID = "6e5f6bb4-0000-4000-8000-1234567890ab"


@pytest.fixture(params=["embedded", pytest.param("http", marks=pytest.mark.slow)])
def any_room(request: pytest.FixtureRequest, home: Home, clean_environment: None) -> Iterator[Room]:
    """The room on the embedded MLflow, and on a server over HTTP whose artifacts are not on a path of ours."""
    if request.param == "embedded":
        yield request.getfixturevalue("room")
        return
    place_server_store(home.path / "far.db")
    with running_mlflow(home, f"sqlite:///{home.path}/far.db", home.path / "far") as url:
        opened = open_room(home.data, url)
        yield opened
        in_the_tests_loop(opened.close())


class MediaSender(Sender):
    """A kernel that keeps media."""

    def __init__(self, run_key: str) -> None:
        super().__init__(run_key)
        self._steps = MediaSteps(run_key)
        self.add("start", name=run_key)

    def keep(self, kind: str, name: str, step: int | None, **made: Any) -> None:
        """One more."""
        self.add("media", name=name, **self._steps.place(kind, name, step), type=kind, **made)

    def image(self, name: str, image: Any, step: int | None = None) -> None:
        """A picture, as the kernel sends it."""
        made = dict(image_event(image)[0])
        self.keep(made.pop("type"), name, step, **made)

    def histogram(self, name: str, values: Any, step: int | None = None) -> None:
        """A histogram, as the kernel sends it."""
        self.keep("histogram", name, step, **histogram(values, 8))


def series_of(media: RunMedia) -> dict[tuple[str, str], MediaSeries]:
    return {(one.kind, one.name): one for one in media.series}


async def bytes_of(room: Room, run_id: str, path: str) -> bytes:
    with await room.experiments.open_artifact(run_id, path) as file:
        return file.read()


async def test_what_is_kept_by_step_is_there_once_however_often_it_is_sent(any_room: Room) -> None:
    from mlflow import MlflowClient

    room, media = any_room, any_room.experiments
    sender = MediaSender("cafe0000media")
    large = np.zeros((300, 600, 3), dtype=np.uint8)
    for step in range(0, 30, 10):
        sender.image("val/samples", large + step, step)
    sender.image("val/samples", large[:9, :9] + 7, 20)
    for step in range(120):
        sender.histogram("layer.0/weight", [step, step + 1.0, math.nan], step)
    sender.keep(
        "table",
        "answers",
        3,
        **{k: v for k, v in table_event([{"q": "ü", "a": 1}])[0].items() if k != "type"},
    )
    ack = await sender.send(room, 0, 60)
    for again in (slice(0, 60), slice(0, 90), slice(0, None)):
        ack = await sender.send(room, again.start, again.stop)
    # A Lab that lost its store hears of all of it a second time.
    other = open_room(room.mlflow.data_dir / "again", room.mlflow.uri)
    try:
        await sender.send(other, 0, 80)
        await sender.send(other)
    finally:
        await other.close()

    found = await media.get_run_media(ack.run_id[:10])
    series = series_of(found)
    assert list(series) == [
        ("image", "val/samples"),
        ("table", "answers"),
        ("histogram", "layer.0/weight"),
    ]
    samples = series["image", "val/samples"].entries
    assert [entry.step for entry in samples] == [0, 10, 20, 20]
    with Image.open(io.BytesIO(await bytes_of(room, ack.run_id, samples[1].path))) as image:
        assert image.size == (600, 300) and image.getpixel((0, 0)) == (10, 10, 10)
    with Image.open(io.BytesIO(await bytes_of(room, ack.run_id, samples[1].small))) as image:
        assert image.size == (200, 100)
    (answers,) = series["table", "answers"].entries
    assert json.loads(await bytes_of(room, ack.run_id, answers.path)) == {
        "columns": ["q", "a"],
        "data": [["ü", 1]],
    }

    spread = await media.get_run_histograms(ack.run_id, HistogramQuery(name="layer.0/weight"))
    assert (spread.low, spread.high, spread.logged, len(spread.rows)) == (0.0, 120.0, 120, 120)
    assert [row.step for row in spread.rows] == list(range(120))
    assert all((row.finite, row.nan, row.infinite) == (2, 1, 0) for row in spread.rows)
    assert all(sum(row.counts) == pytest.approx(2, rel=1e-4) for row in spread.rows)
    with pytest.raises(NotFound, match="no histogram"):
        await media.get_run_histograms(ack.run_id, HistogramQuery(name="none"))

    client = MlflowClient(room.mlflow.uri)
    parts = client.list_artifacts(ack.run_id, "histograms")
    assert len(parts) == 3, "a thousand histograms are few files"
    tags = client.get_run(ack.run_id).data.tags
    assert tags["mlflow.loggedImages"] == "True"
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": answers.path, "type": "table"}]


async def test_pictures_of_mlflows_own_call_are_seen_and_ours_are_named_alike(room: Room) -> None:
    from mlflow import MlflowClient

    sender = MediaSender("alike")
    sender.image("a b/c", np.zeros((4, 4), dtype=np.uint8), 5)
    ack = await sender.send(room)
    client = MlflowClient(room.mlflow.uri)
    client.log_image(ack.run_id, np.full((4, 4, 3), 9, dtype=np.uint8), key="a b/c", step=6)
    client.log_image(ack.run_id, np.zeros((4, 4)), "images/by hand.png")
    (one,) = (await room.experiments.get_run_media(ack.run_id)).series
    assert (one.name, [entry.step for entry in one.entries]) == ("a b/c", [5, 6])
    assert all(entry.small for entry in one.entries)
    ours, theirs = (entry.path.split("+") for entry in one.entries)
    assert (ours[0], len(ours)) == (theirs[0], len(theirs))
    (listed,) = {entry.path for entry in client.list_artifacts(ack.run_id)}
    assert listed == "images"


async def test_what_goes_on_after_a_restart_of_the_worker_adds_to_its_part(room: Room) -> None:
    sender = MediaSender("parts")
    for step in range(20):
        sender.histogram("w", [step, step + 1], step)
    await sender.send(room, 0, 11)
    await room.mlflow.worker.stop()
    ack = await sender.send(room, 11)
    spread = await room.experiments.get_run_histograms(ack.run_id, HistogramQuery(name="w"))
    assert [row.step for row in spread.rows] == list(range(20))


async def test_what_a_kernel_makes_up_is_noted_and_costs_nothing_else(room: Room) -> None:
    sender = MediaSender("hostile")
    script = base64.b64encode(b"<svg onload=alert(1)>").decode()
    sender.keep("image", "script", 0, content=script)
    sender.keep("image", "torn", 0, content="%%%")
    sender.keep("poem", "x", 0)
    sender.keep("histogram", "w", 0, low=1.0, high=0.0, counts=[1])
    sender.keep("histogram", "w", 1, low=0.0, high=1.0, counts=[-1])
    sender.keep("histogram", "w", 2, low=0.0, high=1.0, counts=[1] * 600)
    sender.keep("histogram", "w", 2**70, low=0.0, high=1.0, counts=[1])
    sender.keep("table", "t", 0, columns="a", data=[])
    names = ["../../etc/passwd", "..", "<script>alert(1)</script>", "", "/abs", "a\0b", "ü" * 300, "x" * 300]
    for name in names:
        sender.image(name, np.zeros((2, 2)), 1)
        sender.histogram(name, [1.0], 1)
    sender.metrics(0, loss=1.0)
    sender.add("end", status="FINISHED")
    ack = await sender.send(room)
    run = (await room.experiments.get_run(ack.run_id)).run
    assert (run.status, run.metrics) == ("FINISHED", {"loss": 1.0})
    notes = run.tags["genops.notes"]
    assert "It is not a PNG, JPEG, GIF or WebP" in notes and "unknown kind 'poem'" in notes
    found = series_of(await room.experiments.get_run_media(ack.run_id))
    for kind in ("image", "histogram"):
        shown = [name for (each, name) in found if each == kind]
        assert len(shown) == len({fitting_name(name, []) for name in names}), shown
        assert all(len(name) <= 100 for name in shown)
    for (kind, name), one in found.items():
        if kind == "image":
            assert (await bytes_of(room, ack.run_id, one.entries[0].path)).startswith(b"\x89PNG")
        else:
            spread = await room.experiments.get_run_histograms(ack.run_id, HistogramQuery(name=name))
            assert spread.rows[0].finite == 1
    folder = room.mlflow.data_dir / "mlflow" / "artifacts" / run.experiment_id / run.run_id / "artifacts"
    assert {path.name for path in folder.iterdir()} == {"images", "histograms"}
    assert {path.name for path in folder.parent.iterdir()} == {"artifacts"}


def test_names_say_what_they_say() -> None:
    for name in ("loss", "a/b", "x+step+3", "..", "with 100%"):
        fitted = fitting_name(name, [])
        path = stepped_name(fitted, -3, 12.5, UUID) + ".png"
        found = parse_stepped(path)
        assert found is not None
        assert (found.name, found.step, found.timestamp, found.uuid, found.small) == (
            fitted,
            -3,
            12.5,
            UUID,
            False,
        )
        assert parse_part(part_name(fitted, "abc123", 2)) == fitted
        assert is_media("images/" + path) and is_media("histograms/" + part_name(fitted, "a", 0))
    earlier = parse_stepped(f"a#b%step%4%timestamp%1000%{UUID}%compressed.webp")
    assert earlier is not None and (earlier.name, earlier.step, earlier.small) == ("a/b", 4, True)
    for other in ("plot.png", "a+step+x+timestamp+1+" + UUID + ".png", ""):
        assert parse_stepped(other) is None and not is_media("images/" + other)
    notes: list[str] = []
    assert fitting_name("ok name-1.0/x_y", notes) == "ok name-1.0/x_y" and not notes
    assert fitting_name("a" * 300 + "b", notes) != fitting_name("a" * 300 + "c", notes) and len(notes) == 2


def kept(index: int, low: float, high: float, counts: list[int], **more: Any) -> KeptHistogram:
    return KeptHistogram(
        series="a", index=index, step=index, timestamp=1.0, low=low, high=high, counts=counts, **more
    )


def test_common_bins_lose_no_value() -> None:
    rng = np.random.default_rng(0)
    all_kept = []
    for index in range(200):
        low = float(rng.normal())
        counts = rng.integers(0, 50, int(rng.integers(1, 80))).tolist()
        all_kept.append(kept(index, low, low + float(rng.random()), counts))
    found = on_common_bins("r", "w", all_kept)
    assert (found.logged, len(found.rows)) == (200, 120)
    assert [found.rows[0].step, found.rows[-1].step] == [0, 199]
    for row in found.rows:
        assert sum(row.counts) == pytest.approx(sum(all_kept[row.step].counts), rel=1e-4)
        assert min(row.counts) >= 0
        width = (found.high - found.low) / 64
        inside = [found.low + width * place for place, count in enumerate(row.counts) if count > 0]
        assert not inside or (min(inside) >= row.low - width and max(inside) <= row.high + 1e-9)
    # One value alone, none, and the largest number that is counted.
    point = on_common_bins("r", "w", [kept(0, 3.0, 3.0, [7])])
    assert (point.low, point.high, sum(point.rows[0].counts)) == (2.5, 3.5, 7)
    assert on_common_bins("r", "w", [kept(0, 0.0, 0.0, [0], nan=4)]).rows[0].nan == 4
    wide = on_common_bins("r", "w", [kept(0, -1e300, 1e300, [1, 1])])
    assert sum(wide.rows[0].counts) == pytest.approx(2, rel=1e-4)
    at_the_end = on_common_bins(
        "r", HistogramQuery(name="w"), [kept(0, 0.0, 1.0, [1]), kept(1, 1.0, 1.0, [5])]
    )
    assert at_the_end.rows[1].counts[-1] == 5


async def test_huge_files_and_links_among_them_cost_nothing(room: Room, home: Home) -> None:
    sender = MediaSender("huge")
    sender.histogram("w", [1.0, 2.0], 3)
    sender.image("x", np.zeros((2, 2)), 3)
    ack = await sender.send(room)
    run = (await room.experiments.get_run(ack.run_id)).run
    root = room.mlflow.data_dir / "mlflow" / "artifacts" / run.experiment_id / run.run_id / "artifacts"
    for name in (f"images/{stepped_name('x', 4, 1.0, UUID)}.png", f"histograms/{part_name('w', 'b', 0)}"):
        with (root / name).open("wb") as stream:
            stream.truncate(2_000_000_000)  # sparse: 2 GB that take no room
    secret = home.path / "secret.jsonl"
    secret.write_bytes(b'{"series":"a","index":0,"step":9,"timestamp":1,"low":0,"high":1,"counts":[77]}')
    (root / "histograms" / part_name("w", "c", 0)).symlink_to(secret)
    media = room.experiments
    (images, histograms) = (await media.get_run_media(ack.run_id)).series
    assert [(entry.step, entry.size_bytes) for entry in images.entries][1] == (4, 2_000_000_000)
    spread = await media.get_run_histograms(ack.run_id, HistogramQuery(name=histograms.name))
    assert [row.step for row in spread.rows] == [3]
