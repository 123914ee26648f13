"""Pictures, histograms and tables, as the kernel makes them ready."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genops_lab.runtime import histograms, media, pictures
from genops_lab.runtime.errors import GenOpsError
from genops_lab.runtime.histograms import histogram
from genops_lab.runtime.media import table
from genops_lab.runtime.pictures import Picture, picture

ROOT = Path(__file__).resolve().parents[2]


def pixels(content: bytes) -> Any:
    """What a reader that is not ours sees."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return np.asarray(image)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1), (300, 2, 3)])
def test_bytes_come_back_as_they_were(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    made = picture(array)
    assert np.array_equal(pixels(made.content), array)
    assert made.note == ""


def test_forms_of_arrays() -> None:
    array = np.random.default_rng(1).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    assert np.array_equal(pixels(picture(array).content), array.transpose(1, 2, 0))
    assert np.array_equal(pixels(picture(array[:1]).content), array[0])
    assert np.array_equal(pixels(picture(array[0][:, :, None]).content), array[0])
    assert pixels(picture([[0, 255], [128, 1]]).content).tolist() == [[0, 255], [128, 1]]
    for wrong in (
        np.zeros(3),
        np.zeros((2, 3, 5, 3)),
        np.zeros((5, 7, 2)),
        np.zeros((0, 4)),
        [[1], [1, 2]],
        "n",
        {},
    ):
        with pytest.raises(GenOpsError):
            picture(wrong)


def test_numbers_become_bytes_and_what_is_scaled_is_told() -> None:
    def shown(values: Any) -> tuple[list[int], str]:
        made = picture(np.array([values]))
        return pixels(made.content)[0].tolist(), made.note

    assert shown([True, False]) == ([255, 0], "")
    assert shown([0.0, 0.5, 1.0, math.nan, math.inf]) == ([0, 128, 255, 0, 0], "")
    assert shown([3, 255]) == ([3, 255], "")
    assert shown([-1.0, 0.0, 1.0]) == ([0, 128, 255], "has values from -1 to 1, shown from black to white")
    assert shown([0, 65535])[0] == [0, 255]
    assert shown([-1e308, 1e308])[0] == [0, 255]
    assert shown([7.0, 7.0])[0] == [0, 0]
    assert shown([math.nan, math.nan])[0] == [0, 0]


def test_tensors_are_channels_first() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.randint(0, 256, (3, 4, 3), dtype=torch.uint8)
    assert np.array_equal(pixels(picture(tensor).content), tensor.permute(1, 2, 0).numpy())
    half = torch.full((1, 2, 2), 0.5, dtype=torch.bfloat16).requires_grad_()
    assert pixels(picture(half).content).tolist() == [[128, 128], [128, 128]]


def test_pil_matplotlib_files_and_bytes(tmp_path: Path) -> None:
    image = Image.new("CMYK", (4, 3), (0, 255, 255, 0))
    assert pixels(picture(image).content)[0, 0].tolist() == [255, 0, 0]
    assert pixels(picture(Image.new("LA", (2, 2))).content).shape == (2, 2, 4)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=100)
    axes = figure.add_subplot()
    for drawn in (figure, axes):
        assert pixels(picture(drawn).content).shape[:2] == (100, 200)
    jpeg = io.BytesIO()
    Image.new("RGB", (600, 300)).save(jpeg, "JPEG")
    (tmp_path / "a.jpg").write_bytes(jpeg.getvalue())
    made = picture(tmp_path / "a.jpg")
    assert made.content == jpeg.getvalue() and pixels(made.small).shape[:2] == (128, 256)
    for wrong in (b"", b"<svg onload='alert(1)'/>", b"\x89PNG\r\n\x1a\nno", tmp_path / "none.png"):
        with pytest.raises(GenOpsError):
            picture(wrong)


def test_large_ones_are_made_to_fit_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 20_000)
    noise = np.random.default_rng(0).integers(0, 256, (200, 400, 3), dtype=np.uint8)

    def fits(made: Picture) -> None:
        assert len(made.content) <= 20_000
        assert pixels(made.content).shape[:2] == (50, 100)
        assert made.note == "had 400 x 200 pixels and is kept with 100 x 50"

    fits(picture(noise))
    fits(picture(Image.fromarray(noise)))
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    with pytest.raises(GenOpsError, match="more than 20,000 bytes"):
        picture(buffer.getvalue())


def test_a_small_copy_is_the_mean_of_what_it_stands_for() -> None:
    array = np.zeros((512, 1024), dtype=np.uint8)
    array[:, 512:] = 200
    array[::2] //= 2
    small = pixels(picture(array).small)
    assert small.shape == (128, 256)
    assert set(small[:, :128].flat) == {0} and set(small[:, 128:].flat) == {150}
    assert picture(array[:256, :256]).small == b""


def _same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert {**one, "low": 0, "high": 0} == {**other, "low": 0, "high": 0}
    assert (one["low"], one["high"]) == pytest.approx((other["low"], other["high"]), rel=1e-6)


def test_histograms_count_each_value_once_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(histograms, "_PORTION", 100)  # so that several are counted together
    values = np.random.default_rng(0).integers(-20, 60, 1003) / 8 + 1 / 16
    holes = [math.nan, math.inf, -math.inf, math.nan]
    given = np.concatenate([values, holes])
    made = histogram(given, 10)
    assert (made["nan"], made["infinite"], sum(made["counts"])) == (2, 2, 1003)
    assert (made["low"], made["high"]) == (values.min(), values.max())
    assert made["counts"] == np.histogram(values, 10)[0].tolist()
    _same(histogram(torch.tensor(given), 10), made)
    _same(histogram(torch.tensor(given, dtype=torch.float32).reshape(19, 53), 10), made)
    _same(histograms._by_hand(list(given), 10), made)
    assert len(histogram(given)["counts"]) == 64


def test_odd_histograms() -> None:
    torch = pytest.importorskip("torch")
    same = {"low": 3.0, "high": 3.0, "counts": [2], "nan": 1, "infinite": 0}
    none = {"low": 0.0, "high": 0.0, "counts": [0], "nan": 0, "infinite": 0}
    ways: list[Callable[[list[float]], dict[str, Any]]] = [
        lambda values: histogram(values),
        lambda values: histogram(np.array(values)),
        lambda values: histogram(torch.tensor(values)),
        lambda values: histograms._by_hand(values, 64),
    ]
    for make in ways:
        assert make([3.0, 3.0, math.nan]) == same
        assert make([]) == none
        assert make([math.inf])["infinite"] == 1
        beyond = make([-1e308, 1e308, 0.0, 1.0])
        assert (sum(beyond["counts"]), beyond["infinite"]) == (2, 2)
        for close in (1.0 + 2**-52, 1.0 + 2**-23, 1.0 + 2**-20):
            assert sum(make([1.0, close, 1.0])["counts"]) == 3
        assert sum(make([0.0, 5e-324])["counts"]) == 2
    assert sum(histogram(torch.arange(10, dtype=torch.uint8), 4)["counts"]) == 10
    assert sum(histogram(torch.randn(50, dtype=torch.float16), 4)["counts"]) == 50
    assert histogram(np.array([True, False, True]), 2)["counts"] == [1, 2]
    for wrong in (["a"], object(), torch.zeros(2, dtype=torch.complex64)):
        with pytest.raises(GenOpsError):
            histogram(wrong)
    for bins in (0, 513, 2.5, True):
        with pytest.raises(GenOpsError, match="number of bins"):
            histogram([1.0], bins)  # type: ignore[arg-type]


def test_tables_from_all_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    expected = {"columns": ["prompt", "score"], "data": [["a", 0.5], ["b", "nan"]]}
    rows = [{"prompt": "a", "score": 0.5}, {"prompt": "b", "score": math.nan}]
    assert table(rows) == (expected, "")
    assert table(pd.DataFrame(rows)) == (expected, "")
    assert table({"prompt": ["a", "b"], "score": [np.float64(0.5), math.nan]}) == (expected, "")
    assert table({"prompt": "a", "score": [1, 2]})[0]["data"] == [["a", 1], [None, 2]]
    assert table([{"a": {"deep": 1}, "b": None}])[0]["data"] == [["{'deep': 1}", None]]
    for wrong in ("text", 5, [[1, 2]]):
        with pytest.raises(GenOpsError, match="are not a table"):
            table(wrong)
    long, note = table([{"n": n} for n in range(5000)])
    assert len(long["data"]) == 1000 and note == "the first 1,000 of 5,000 rows are kept"
    monkeypatch.setattr(media, "MAX_CHARACTERS", 100_000)
    long, note = table([{"text": "x" * 30_000}] * 9)
    assert len(long["data"]) == 4 and len(long["data"][0][0]) == 20_000
    assert (
        note
        == "the first 4 of 9 rows are kept, because the rows are long, texts are cut to 20,000 characters"
    )


def test_a_run_sends_them_by_step(home: Any, lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("GENOPS_DATA_DIR", str(home.data))
    monkeypatch.setenv("GENOPS_SOCKET", str(lab.path))
    monkeypatch.setenv("A_API_KEY", "hunter2hunter2")
    from genops_lab.runtime.run import Run

    run = Run("media", system_metrics=False)
    for step in (None, None, 10, None):
        run.log_image("of hunter2hunter2", np.zeros((2, 2)) - step if step else np.zeros((2, 2)), step)
    run.log_histogram("w", [1.0, 2.0], bins=2)
    run.log_table("answers", [{"a": 1}], step=4)
    assert run.end()
    media = [event["data"] for event in lab.events[run.key] if event["kind"] == "media"]
    assert [(one["type"], one["step"], one["index"]) for one in media] == [
        ("image", 0, 0), ("image", 1, 1), ("image", 10, 2), ("image", 11, 3), ("histogram", 0, 0), ("table", 4, 0),
    ]  # fmt: skip
    assert media[0]["name"] == "of [redacted: secret variable]" and media[4]["counts"] == [1, 1]
    assert capsys.readouterr().err.count("shown from black to white") == 1
    with pytest.raises(GenOpsError, match="has ended"):
        run.log_table("answers", [{"a": 1}])
