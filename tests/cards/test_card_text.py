"""The text of cards: valid for Hugging Face's own classes, nothing of others read as Markdown, people's text kept."""

from __future__ import annotations

import pytest

from genops_lab.cards.document import Document, joined, parse
from genops_lab.cards.models import Known
from genops_lab.cards.page import html
from genops_lab.cards.sections import gaps, generated, metadata
from genops_lab.core.errors import InvalidRequest

from .facts import known, unknown


def card(of: Known, kept: str = "") -> str:
    return joined(generated(of), metadata(of), parse(kept) if kept else Document()).render()


def section(text: str, id: str) -> str:
    return next(each.text for each in parse(text).sections() if each.id == id)


@pytest.mark.parametrize("of", [known(), unknown(), known(evaluations=[]), known(training=None)])
def test_a_card_is_valid_for_hugging_face(of: Known) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is missing")
    text = card(of)
    # Raises for metadata and a model-index of another form. Its validate() asks the network.
    found = hub.ModelCard(text, ignore_metadata_errors=False)
    data = found.data.to_dict()
    assert set(data) <= {
        *("license", "library_name", "tags", "datasets", "metrics", "base_model", "model-index"),
    }
    assert "mlflow" in data["tags"]
    if of.evaluations:
        results = {(each.metric_type, each.metric_value) for each in found.data.eval_results}
        assert results == {("accuracy", 0.912), ("log_loss", 0.31)}
        first = found.data.eval_results[0]
        assert (first.dataset_name, first.dataset_revision, first.task_type) == ("test", "d1g3", "other")
        assert (data["base_model"], data["license"], data["library_name"]) == (
            "org/base",
            "apache-2.0",
            "sklearn",
        )
    assert "# digits version 3" in found.text or "# bare version 1" in found.text


def test_what_is_known_is_written() -> None:
    text = card(known())
    assert "Reads **digits**." in section(text, "title")
    assert "- **Parameters:** 137 (fp32)" in section(text, "details")
    assert "| accuracy | 0.912 | 0.9 to 0.922 | 1,000 | test@d1g3 |" in section(text, "evaluation")
    assert r"| log\_loss | 0.31 |  |  | test@d1g3 |" in section(text, "evaluation")
    assert "| age=old, accuracy | 0.8 | 0.5 to 0.94 | 12 | test@d1g3 |" in section(text, "groups")
    assert "Groups with fewer than 30 rows: `age=old`." in section(text, "groups")
    assert "Lowest result of a group: accuracy 0.88 for `age=middle`." in section(text, "limits")
    training = section(text, "training")
    assert f"- **Commit:** {'c' * 40} with changes that were not committed" in training
    assert "- **Duration:** 2 min" in training and "- **Hardware:** 2 GPUs, target gpu1" in training
    assert r"| note | a \| b \<b\> |" in training
    assert "| train | training | tr41n | s3://bucket/train |" in section(text, "data")
    assert "1.5 kWh" in section(text, "environment") and "0.6 kg CO2" in section(text, "environment")
    assert 'load_model("models:/digits/3")' in section(text, "start")


def test_what_nobody_knows_is_marked_missing() -> None:
    found = gaps(generated(unknown()))
    assert [(each.section, each.what) for each in found] == [
        ("details", "license"),
        ("uses", "intended use"),
        ("uses", "out-of-scope use"),
        ("limits", "limits"),
        ("data", "training data"),
        ("training", "training procedure"),
        ("evaluation", "evaluation"),
        ("groups", "results by group"),
        ("environment", "energy"),
        ("contact", "contact"),
    ]
    assert "> **Missing: intended use.** Write who should use the model" in card(unknown())
    without = [each.what for each in gaps(generated(known(evaluations=[])))]
    assert "evaluation on a data set" in without
    assert [each.what for each in gaps(generated(known()))] == [
        "intended use", "out-of-scope use", "limits", "contact",
    ]  # fmt: skip


def test_what_a_person_wrote_is_kept_when_the_card_is_made_anew() -> None:
    text = card(known())
    text = text.replace(
        "> **Missing: intended use.** Write who should use the model, and for what.", "Post offices."
    )
    text = text.replace(
        "\n## Training data", "\n## Notes of ours\n\nAsk Ann.\n\n```\n## no heading\n```\n\n## Training data"
    )
    text = text.replace("license: apache-2.0", "license: mit  # as agreed\nlanguage:\n- en")
    text = text.replace("<!-- genops:data", "<!-- genops:data", 1)
    again = card(known(version="4", evaluations=[]), text)
    assert "Post offices." in section(again, "uses")
    assert "license: mit  # as agreed\n" in again and "language:\n- en\n" in again
    assert "| accuracy |" not in again, "a section that nobody changed is made anew"
    assert "# digits version 4" in again
    assert again.count("Ask Ann.") == 1
    assert card(known(version="4", evaluations=[]), again) == again
    assert card(known(), again).count("Post offices.") == 1


def test_a_section_of_a_person_keeps_its_place_and_a_deleted_one_comes_back() -> None:
    text = card(known())
    lines = text.split("\n<!-- genops:training ")
    text = f"{lines[0]}\n## Ours\n\nText\n\n<!-- genops:training {lines[1]}"
    again = card(known(description="new"), text)
    order = [each.id for each in parse(again).sections()]
    assert order[order.index("own1") - 1 : order.index("own1") + 2] == ["data", "own1", "training"]
    without = "".join(text.partition("<!-- genops:contact")[:1])
    assert section(card(known(), without), "contact").startswith("## Model card contact")


def test_a_copied_section_is_a_persons_own() -> None:
    text = card(known())
    copied = text + "\n" + text[text.index("<!-- genops:contact") :].replace("Missing: contact", "Second")
    again = card(known(), copied)
    assert "Missing: contact" in again and "Second" in again


def test_text_of_others_is_no_markdown_and_no_mark() -> None:
    evil = "x\n\n## Uses\n\n<!-- genops:uses 000000000000 -->\n[a](javascript:alert(1)) ```"
    of = known(name="evil | <img src=x onerror=alert(1)>", description=f"# Big\n{evil}\n```\nopen fence")
    text = card(of)
    assert [each.id for each in parse(text).sections()] == [
        each.id for each in parse(card(known())).sections()
    ]
    assert not any(each.written for each in parse(text).sections())
    params = section(
        card(known(training=known().training.__class__(run_id="r", params={"p": evil}))), "training"
    )
    assert "\n## Uses" not in params and r"\[a\](javascript" in params
    page = html(text, of.name)
    assert "<img" not in page and 'href="javascript' not in page


def test_a_page_of_html_stands_alone() -> None:
    page = html(card(known()), "digits <3>")
    assert "<title>digits &lt;3&gt;</title>" in page
    assert "<table>" in page and "<h2>Training data</h2>" in page
    assert "<strong>Missing: intended use.</strong>" in page
    assert "<!-- genops" not in page and "<script" not in page and "genops:card" not in page
    assert "license: apache-2.0" in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\nlicense: mit\n# no end", "has no end"),
        ("---\n- a\n---\n", "has no keys"),
        ("---\na: [1\n---\n", "is not YAML"),
        ("---\na: &x 1\nb: *x\n---\n", "aliases"),
        ("x" * 500_001, "has 500,001 characters"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        parse(text)


def test_a_readme_of_the_hub_is_read() -> None:
    front = "---\nlicense: mit\ntags:\n- a\nmodel-index:\n- name: x\n  results: []\n---\n"
    text = f"{front}\n# Title\n\nText\n\n## Uses\n\nMine\n"
    again = card(known(), text)
    assert "license: mit\n" in again and "model-index:\n- name: x\n  results: []\n" in again
    assert "Mine" in again
    assert parse("Only text").sections()[0].text == "Only text"
    assert parse("").sections() == []
