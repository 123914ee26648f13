"""``genops redaction check``: places, rules and counts, and never a value."""

from __future__ import annotations

import json

from tests.support.homes import Home

from .conftest import genops

MAIL, PASSWORD = "ada@example.com", "open-sesame-77"


def test_check_says_where_and_by_which_rule_and_shows_no_value(home: Home) -> None:
    lines = [{"to": MAIL}, {"password": PASSWORD}, {"text": f"{PASSWORD} for {MAIL}"}]
    (home.work / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = genops(home, "redaction", "check", "rows.jsonl", "--json")
    assert done.code == 0 and MAIL not in done.out and PASSWORD not in done.out
    assert [(each["line"], each["kind"], each["rule"]) for each in done.json["found"]] == [
        (1, "email", "form"), (2, "secret value", "name"), (3, "email", "form"),
    ]  # fmt: skip
    assert done.json["counts"] == {"email": 2, "secret value": 2}
    shown = genops(home, "redaction", "check", "-", "--secrets", stdin=f"mail {MAIL}")
    assert "Nothing would be redacted." in shown.out and "Searched for secrets, by rules." in shown.out
    for wrong in ((), ("rows.jsonl", "--text", "x"), ("missing.txt",)):
        refused = genops(home, "redaction", "check", *wrong)
        assert refused.code in (2, 3) and refused.err.startswith("Error:")
