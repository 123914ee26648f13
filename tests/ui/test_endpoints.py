"""The section Generative AI and the page of models that answer."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(180)]


def test_the_section_opens_the_page_of_endpoints(lab: LabPage) -> None:
    lab.section("Generative AI").get_by_role("button", name="Endpoints").click()
    expect(lab.page.locator("#genops-endpoints")).to_be_visible()
    lab.looks("endpoints", "#genops-endpoints", (1280, 800), daily=False)
