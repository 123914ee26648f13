"""Write ``oracles.json``: what other programs say about small data, for tests that run without these programs.

They are left out of the tests' environment: statsmodels takes 70 MB, expectation is GPL and needs Python 3.12,
wildboottest takes 200 MB with numba, confseq does not build. With Python 3.12 and a copy of confseq's sources:

    pip install statsmodels==0.15.0 expectation==0.6.1 wildboottest==0.3.2 multiprocess matplotlib
    python -m tests.statistics.oracles CONFSEQ/src
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import warnings
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
CONFSEQ = "70b1ef30aef08ad459815ea87fc25248f8b15178"


def entry(package: str, call: str, inputs: dict[str, Any], value: Any) -> dict[str, Any]:
    version = f"commit {CONFSEQ}" if package == "confseq" else importlib.metadata.version(package)
    return {"package": package, "version": version, "call": call, "inputs": inputs, "value": value}


def statsmodels() -> dict[str, Any]:
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.power import TTestPower
    from statsmodels.stats.proportion import proportion_confint
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    found = {
        f"mcnemar {b} {c}": entry(
            "statsmodels", "stats.contingency_tables.mcnemar(exact=True)", {"b": b, "c": c, "n": 100},
            float(mcnemar([[40, b], [c, 60 - b - c]], exact=True).pvalue),
        )
        for b, c in ((0, 0), (1, 0), (9, 2), (2, 9), (15, 15), (25, 7))
    }  # fmt: skip
    p = [0.01, 0.04, 0.03, 0.2, 0.005, 0.9, 0.04]
    found["holm"] = entry(
        "statsmodels", "stats.multitest.multipletests(method='holm')", {"p": p},
        multipletests(p, method="holm")[1].tolist(),
    )  # fmt: skip
    for effect in (0.05, 0.2, 0.5, 1.0):
        for sides in ("two-sided", "larger"):
            found[f"needed {effect} {sides}"] = entry(
                "statsmodels", "stats.power.TTestPower().solve_power(alpha=0.05, power=0.8)",
                {"effect": effect, "alternative": "two-sided" if sides == "two-sided" else "greater"},
                float(TTestPower().solve_power(effect, alpha=0.05, power=0.8, alternative=sides)),
            )  # fmt: skip
    one, other = [0.95, 0.97, 0.94, 0.92], [0.91, 0.88, 0.93, 0.90, 0.89]
    compared = CompareMeans(DescrStatsW(one), DescrStatsW(other))
    for null in (0.0, 0.02):
        for sides in ("two-sided", "larger", "smaller"):
            found[f"welch {null} {sides}"] = entry(
                "statsmodels", "stats.weightstats.CompareMeans.ttest_ind(usevar='unequal')",
                {
                    "one": one, "other": other, "null": null,
                    "alternative": {"larger": "greater", "smaller": "less"}.get(sides, sides),
                },
                float(compared.ttest_ind(alternative=sides, usevar="unequal", value=null)[1]),
            )  # fmt: skip
    found["welch interval"] = entry(
        "statsmodels", "stats.weightstats.CompareMeans.tconfint_diff(usevar='unequal')",
        {"one": one, "other": other}, [float(end) for end in compared.tconfint_diff(usevar="unequal")],
    )  # fmt: skip
    found["rate"] = entry(
        "statsmodels", "stats.proportion.proportion_confint(method='beta')", {"successes": 37, "n": 400},
        [float(end) for end in proportion_confint(37, 400, method="beta")],
    )  # fmt: skip
    return found


def expectation() -> dict[str, Any]:
    import numpy as np
    from expectation.ksample.bernoulli import BernoulliRIPrCalculator
    from expectation.ksample.config import KSampleConfig
    from expectation.modules.martingales import BetaBinomialMixture

    rng = np.random.default_rng(7)
    one, other = rng.integers(0, 2, 40).tolist(), (rng.random(40) < 0.8).astype(int).tolist()
    calculator = BernoulliRIPrCalculator(KSampleConfig(k=2, gamma=0.18))
    total = 0.0
    for a, b in zip(one, other, strict=True):
        total += calculator.compute_log_e_value({0: a, 1: b}, {0: 1, 1: 1})[0]
        calculator.cumulative_successes[0] += a
        calculator.cumulative_successes[1] += b
        calculator.cumulative_counts[0] += 1
        calculator.cumulative_counts[1] += 1
    found = {
        "two rates": entry(
            "expectation", "ksample.bernoulli.BernoulliRIPrCalculator(KSampleConfig(k=2, gamma=0.18))",
            {"one": one, "other": other}, float(total),
        )
    }  # fmt: skip
    for rate in (0.5, 0.9):
        # A mixture of confseq's for a count below its rate: failures are what is counted up.
        mixture = BetaBinomialMixture(200 * rate * (1 - rate), 0.05, 1 - rate, rate, True)
        for n, successes in ((50, 20), (200, 90), (200, 150), (1000, 850)):
            found[f"one-sided {rate} {n} {successes}"] = entry(
                "expectation", "modules.martingales.BetaBinomialMixture(v_opt, 0.05, g, h, True).log_superMG",
                {
                    "rate": rate, "n": n, "successes": successes,
                    "concentration": float(mixture.r / (rate * (1 - rate))),
                },
                float(mixture.log_superMG(rate * n - successes, rate * (1 - rate) * n)),
            )  # fmt: skip
    return found


def wildboottest() -> dict[str, Any]:
    import numpy as np
    import pandas as pd
    import statsmodels.api as sm
    from wildboottest.wildboottest import wildboottest as run

    found = {}
    for seed, shift in ((1, 0.2), (2, 0.6), (3, 0.0)):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(9), rng.integers(2, 9, 9))
        values = np.round(shift + rng.normal(size=9)[clusters] * 0.5 + rng.normal(size=len(clusters)), 6)
        model = sm.WLS(values, pd.DataFrame({"mean": np.ones(len(values))}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = run(model, B=9999, cluster=clusters, param="mean", seed=1, parallel=False, show=False)
        found[f"wild {seed}"] = entry(
            "wildboottest", "wildboottest(WLS(values, 1), B=9999, cluster=clusters): all 2^9 signs",
            {"values": values.tolist(), "clusters": clusters.tolist()}, float(np.ravel(table["p-value"])[0]),
        )  # fmt: skip
    return found


def confseq(sources: str) -> dict[str, Any]:
    import numpy as np

    np.float_ = np.float64  # its sources are older than numpy 2
    sys.path.insert(0, sources)
    from confseq.betting import betting_cs, betting_mart

    found = {}
    for seed, rate in ((1, 0.3), (2, 0.9)):
        x = np.random.default_rng(seed).beta(4 * rate, 4 * (1 - rate), 60).round(6)
        low, high = betting_cs(x, alpha=0.05, breaks=20_000, running_intersection=True)
        found[f"betting {rate}"] = entry(
            "confseq", "betting.betting_cs(x, alpha=0.05, breaks=20000, running_intersection=True)[-1]",
            {"x": x.tolist()}, [float(low[-1]), float(high[-1])],
        )  # fmt: skip
        found[f"capital {rate}"] = entry(
            "confseq", "betting.betting_mart(x, 0.5, alpha=0.05)[-1]", {"x": x.tolist(), "null": 0.5},
            float(betting_mart(x, 0.5, alpha=0.05)[-1]),
        )  # fmt: skip
    return found


def main() -> None:
    found = {**statsmodels(), **expectation(), **wildboottest(), **confseq(sys.argv[1])}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
