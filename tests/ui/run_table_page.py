"""The run table as a test finds it on the page."""

from __future__ import annotations

import re

from playwright.sync_api import Locator

from tests.support.browser import LabPage


def table(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-RunTable")


def grid(lab: LabPage) -> Locator:
    return table(lab).locator(".gol-RunTable-rdg")


def rows(lab: LabPage) -> Locator:
    return grid(lab).locator(".rdg-row")


def head(lab: LabPage, column: str) -> Locator:
    return grid(lab).get_by_role("columnheader", name=column, exact=True)


def totals(lab: LabPage) -> Locator:
    return table(lab).locator(".gol-RunTable-totals")


def query(lab: LabPage) -> Locator:
    return table(lab).get_by_role("combobox", name="Query")


def looked_at(lab: LabPage, name: str, *, daily: bool = True) -> None:
    """Pictures in both themes and two sizes, without serious findings; it is wide afterwards."""
    lab.looks(name, ".gol-RunTable", daily=daily)
    lab.shot(name, width=1920, height=1000)


def cell_text(lab: LabPage, place: int, column: str) -> str:
    index = (
        grid(lab)
        .get_by_role("columnheader", name=re.compile(f"^{column}"))
        .first.get_attribute("aria-colindex")
    )
    return rows(lab).nth(place).locator(f'[aria-colindex="{index}"]').inner_text()
