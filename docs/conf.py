"""The documentation site: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import reference

project = "GenOps Lab"
author = "GenOps Lab Team"
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_build", "_static"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
html_theme = "pydata_sphinx_theme"
html_title = "GenOps Lab"
html_static_path = ["_static"]
html_css_files = ["genops.css"]
#: Pages without pages below them have no navigation at their left.
html_sidebars = {"first-steps": [], "troubleshooting": []}
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_prompt_text = "$ "


def setup(app: object) -> None:
    """Write the generated reference before Sphinx looks for pages."""
    reference.write(Path(__file__).parent / "reference")
