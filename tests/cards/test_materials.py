"""Bills of materials are valid against the published schema of CycloneDX 1.6."""

from __future__ import annotations

import json
from typing import Any

import pytest

from genops_lab.cards.materials import bill_of_materials
from genops_lab.cards.models import Known
from genops_lab.registry.files.models import ModelFacts

from .facts import FILES, known, unknown


def checked(of: Known) -> dict[str, Any]:
    """The document, after the strict validation of cyclonedx-python-lib."""
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is missing")
    from cyclonedx.schema import SchemaVersion

    document = bill_of_materials(of, FILES, now=1_800_000_000.0)
    error = validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    assert error is None, str(error)[:2000]
    return document


@pytest.mark.parametrize(
    "of",
    [
        unknown(),
        known(evaluations=[], base_model="models:/digits/1"),
        known(training=None),
        known(name="ü" * 250, base_model="a place with blanks"),
        known(
            facts=ModelFacts(
                verdict="data", headline="x", licence="my own terms", requirements=["a==1.*", "A"]
            )
        ),
    ],
)
def test_each_document_is_valid(of: Known) -> None:
    checked(of)


def test_model_files_packages_data_and_base_are_listed() -> None:
    found = checked(known())
    model = found["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "digits", "3")
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert [(each["name"], each["hashes"][0]["content"]) for each in model["components"]] == [
        ("MLmodel", "a" * 64),
        ("data/Gewichte ü.bin", "b" * 64),
    ]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[0] == {
        "type": "accuracy",
        "value": "0.912",
        "slice": "test@d1g3",
        "confidenceInterval": {"lowerBound": "0.9", "upperBound": "0.922"},
    }
    assert metrics[1]["slice"] == "test@d1g3, age=young"
    energy = model["modelCard"]["considerations"]["environmentalConsiderations"]["energyConsumptions"][0]
    assert energy["activityEnergyCost"] == {"value": 1.5, "unit": "kWh"}
    parts = {each["name"]: each for each in found["components"]}
    assert parts["scikit-learn"]["purl"] == "pkg:pypi/scikit-learn@1.7.2"
    assert (parts["numpy"]["purl"], parts["numpy"].get("version")) == ("pkg:pypi/numpy", None)
    assert parts["train"]["version"] == "tr41n"
    assert parts["org/base"]["purl"] == "pkg:huggingface/org/base@v1"
    assert "???" in parts
    assert "s3cret" not in json.dumps(found)
    assert {each["ref"] for each in found["dependencies"]} == {
        "model",
        *(each["bom-ref"] for each in found["components"]),
    }


def test_the_serial_number_names_the_files() -> None:
    first = bill_of_materials(known(), FILES, now=1.0)
    assert first["serialNumber"] == bill_of_materials(known(), FILES, now=2.0)["serialNumber"]
    assert first["serialNumber"] != bill_of_materials(known(), FILES[:1], now=1.0)["serialNumber"]
    assert first["serialNumber"] != bill_of_materials(known(version="4"), FILES, now=1.0)["serialNumber"]
