"""A person at a page who has a keyboard and no mouse."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from playwright.sync_api import Locator, Page, expect

#: What has the focus: its role and name as far as the page says them, and whether a person sees that it is there.
FOCUSED = """() => {
  const node = document.activeElement;
  if (node === null || node === document.body || !node.isConnected) {
    return null;
  }
  // JupyterLab marks those by other means: the border of a cell, the look of a page's tab or of a menu's item.
  const marked = node.closest('.jp-Cell, .lm-Menu, .lm-MenuBar, .lm-CommandPalette') !== null
    || node.matches('[role="region"], [role="dialog"]');
  const shown = each => {
    const style = getComputedStyle(each);
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none';
  };
  return { what: node.outerHTML.slice(0, 200), seen: marked || shown(node) || shown(node.parentElement) };
}"""


class Keyboard:
    """Keys alone. After each step something that a person can see has the focus: it is never lost to the page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
        self.has_focus()

    def write(self, text: str) -> None:
        """Put text where the focus is."""
        self.page.keyboard.insert_text(text)

    def has_focus(self) -> None:
        """Something that is marked as focused has the focus."""
        # In one look: a dialog that closes leaves the page without a focus for a moment.
        focused: dict[str, Any] = self.page.wait_for_function(FOCUSED).json_value()
        assert focused["seen"], f"nobody sees that it has the focus: {focused['what']}"

    def to(self, target: Locator, key: str = "Tab", most: int = 60) -> None:
        """Press a key until ``target`` has the focus."""
        expect(target).to_be_visible()
        passed = []
        for _ in range(most):
            if target.evaluate("node => node === document.activeElement"):
                return
            self.press(key)
            passed.append(self.page.evaluate("() => document.activeElement.outerHTML.slice(0, 120)"))
        raise AssertionError(f"{key} does not lead to {target}, but past\n" + "\n".join(passed))

    def choose(self, target: Locator, key: str = "Tab", *, by: str = "Enter") -> None:
        """Go to a control and press it."""
        self.to(target, key)
        self.press(by)

    def command(self, label: str) -> None:
        """Run a command by the palette."""
        palette = self.page.locator(".jp-ModalCommandPalette:visible")
        active = palette.locator(".lm-CommandPalette-item.lm-mod-active")
        # It closes when something else takes the focus, as a page does that has just come: a person opens it again.
        for _ in range(3):
            if not palette.is_visible():
                self.page.keyboard.press("Control+Shift+C")
            with suppress(AssertionError):
                expect(palette.locator("input")).to_be_focused(timeout=5000)
                self.page.keyboard.press("Control+A")
                self.page.keyboard.type(label)
                expect(active).to_contain_text(label, timeout=5000)
                break
        expect(active).to_contain_text(label)
        self.page.keyboard.press("Enter")
        expect(palette).to_be_hidden()

    def option(self, select: Locator, label: str) -> None:
        """Choose from a list by arrow keys. What typed letters choose depends on how fast they come."""
        self.to(select)
        self.press("Home")
        for _ in range(select.locator("option").count()):
            if select.locator("option:checked").inner_text().startswith(label):
                return
            self.press("ArrowDown")
        expect(select.locator("option:checked")).to_have_text(re.compile(f"^{re.escape(label)}"))

    def menu_item(self, label: str) -> None:
        """Choose from the menu that is open."""
        menu = self.page.get_by_role("menu")
        active = menu.locator(".lm-Menu-item.lm-mod-active")
        for _ in range(menu.locator(".lm-Menu-item").count() + 1):
            self.page.keyboard.press("ArrowDown")
            if active.get_by_text(label, exact=True).count():
                break
        expect(active).to_have_text(re.compile(f"^{re.escape(label)}"))
        self.page.keyboard.press("Enter")
        expect(menu).to_have_count(0)
