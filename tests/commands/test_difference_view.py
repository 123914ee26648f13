"""Two profiles side by side on the command line."""

from __future__ import annotations

from genops_lab.commands import terminal
from genops_lab.commands.views.profiles.difference import difference
from genops_lab.profiler.models import Change, Difference

LONG = "void explicit_convolve_sgemm<float, int, 1024>" + "(int, float const*)" * 20


def test_long_names_on_both_sides_share_a_narrow_terminal() -> None:
    new = Change(
        name="volta_scudnn_128x128_relu_small_nn_v1",
        before_us=0,
        after_us=616,
        before_count=0,
        after_count=1,
        state="added",
        instead_of=LONG,
    )
    found = Difference(
        a_step=False, before_steps=0, after_steps=0, figures=[], operators=[], kernels=[new], lines=[]
    )
    whole = terminal.render(difference(found))
    assert new.name in whole and LONG in whole
    row = next(line for line in terminal.render(difference(found), width=120).splitlines() if "616" in line)
    assert len(row) <= 120
    assert new.name[:25] in row and "instead of void explic" in row
