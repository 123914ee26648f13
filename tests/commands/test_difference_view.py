"""Two profiles side by side on the command line."""

from __future__ import annotations

from genops_lab.commands import terminal
from genops_lab.commands.views.profiles.difference import difference
from genops_lab.profiling.models import Change, Difference, Figure

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


def test_a_long_name_in_a_pipe_does_not_make_all_rows_as_long() -> None:
    def change(name: str, after_us: float) -> Change:
        return Change(name=name, before_us=1, after_us=after_us, before_count=1, after_count=1, state="both")

    found = Difference(
        a_step=False,
        before_steps=0,
        after_steps=0,
        figures=[],
        operators=[],
        kernels=[change(LONG, 9), change("gemm", 5), change("relu", 4)],
        lines=[],
    )
    head, long, *short = (
        terminal.render(difference(found)).partition("GPU kernels by change\n")[2].splitlines()
    )
    assert long.startswith(LONG)
    assert {line.index("1.000 µs") for line in short} == {head.index("BEFORE") - 2}
    assert max(map(len, short)) < 160


def test_figures_show_fractions_of_a_step_and_their_coverage() -> None:
    kernels = Figure(code="kernels", before=2.6, after=2.4, unit="count")
    flops = Figure(
        code="flops", before=5e12, after=4e11, unit="flops", covered_before=1.0, covered_after=0.091
    )
    copied = Change(name="aten::copy_", before_us=5, after_us=9, before_count=1, after_count=1, state="both")
    found = Difference(
        a_step=True,
        before_steps=5,
        after_steps=5,
        figures=[kernels, flops],
        operators=[copied],
        kernels=[],
        lines=[],
    )
    rendered = [" ".join(line.split()) for line in terminal.render(difference(found)).splitlines()]
    assert "GPU kernels 2.6 2.4 −0.2 (−7.7 %)" in rendered
    assert "FLOPs 5e+12 4e+11 (9.1 % of the compute time) −4.6e+12 (−92.0 %)" in rendered
    assert (
        "Operators by change, their own CPU time and the device time of their GPU kernels together"
        in rendered
    )
