"""The files of the front end that a page has fetched, and their compressed size."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from playwright.sync_api import Page

#: A rule of the style that is loaded at start; scripts hold none.
STYLE = b".gol-Panel {"


@dataclass(frozen=True)
class Weight:
    """Bytes of script and of style, each file compressed by gzip."""

    script: int
    style: int


def fetched(page: Page) -> set[str]:
    """The names of our files that a page has fetched since it was loaded."""
    urls = page.evaluate("() => performance.getEntriesByType('resource').map(each => each.name)")
    found = (re.search(r"/extensions/genops-lab/static/([^/?]+)", url) for url in urls)
    return {match[1] for match in found if match}


def weight(names: Iterable[str], read: Callable[[str], bytes]) -> Weight:
    """Return what these files weigh; ``read`` has their content. The loader of the style counts as style."""
    script = style = 0
    for name in names:
        content = read(name)
        size = len(gzip.compress(content, 9))
        if STYLE in content or name.startswith("styling."):
            style += size
        else:
            script += size
    return Weight(script, style)
