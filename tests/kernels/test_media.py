"""Pictures, histograms and tables of a kernel on a target."""

from __future__ import annotations

import sys
from pathlib import Path

from genops_lab.experiments.media.models import HistogramQuery, MediaSeries
from genops_lab.hosts.providers import route_of
from tests.experiments.conftest import made_folder  # noqa: F401 - a fixture
from tests.support.homes import Home

from .places import TARGET
from .tracked import LONG_S, eventually, loaded, tracking_lab

CELL = """
%%track --name far
import genops, time
gif = b"GIF89a" + bytes(200_000)
for step in range({count}):
    genops.log_image("samples", gif, step=step)
    genops.log_histogram("w", [float(step), step + 1.0], step=step)
    genops.log_table("answers", [{{"step": step}}], step=step)
    time.sleep(0.02)
"""


def test_media_travel_like_metrics_also_through_a_cut(
    home: Home,
    made_folder: Path,  # noqa: F811
) -> None:
    count = 60
    route = route_of(target=TARGET, kind="local", python=sys.executable)
    with tracking_lab(home, made_folder, route) as lab, loaded(lab.place) as kernel:
        media = lab.room.experiments

        def series() -> list[MediaSeries]:
            return lab.run(media.get_run_media(lab.the_run().run_id)).series

        # Without PIL, as on a host that has it not, the whole is the small copy.
        hidden = "import sys; sys.modules['PIL'] = None"
        kernel.run(hidden, LONG_S)
        cell = kernel.client.execute(CELL.format(count=count))
        eventually(lambda: lab.runs() and series())
        link = lab.place.remote.links.link(lab.place.route)
        lab.place.do(link.down())
        lab.place.do(link.up())
        reply, printed = kernel.finish(cell, LONG_S)
        assert reply["status"] == "ok", printed
        run = lab.ended("FINISHED")
        images, tables, histograms = series()
        for one in (images, tables):
            assert [entry.step for entry in one.entries] == list(range(count)), "each once"
        assert all(entry.small for entry in images.entries)
        spread = lab.run(media.get_run_histograms(run.run_id, HistogramQuery(name=histograms.name)))
        assert [(row.step, row.finite) for row in spread.rows] == [(step, 2) for step in range(count)]
        assert "genops.notes" not in run.tags
