"""Turn a card into an HTML page of its own, without scripts or files beside it."""

from __future__ import annotations

import re
from html import escape

from .document import parse

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #8888; padding: 0.25rem 0.75rem; text-align: left; }
pre, code { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { background: #8882; padding: 0.75rem; overflow-x: auto; }
blockquote { border-left: 4px solid #b26a00; margin: 1rem 0; padding: 0.1rem 1rem; background: #b26a0018; }
"""
_COMMENT = re.compile(r"^<!--.*?-->\s*$", re.MULTILINE)


def html(text: str, title: str) -> str:
    """Return a card as an HTML page. HTML in the card is shown as text, and no address with a script is linked."""
    import mistune

    document = parse(text)
    body = _COMMENT.sub("", "\n\n".join(block.text for block in document.blocks))
    markdown = mistune.create_markdown(escape=True, plugins=["table", "url", "strikethrough"])
    metadata = "".join(document.metadata.values())
    return (
        "<!doctype html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{markdown(body)}"
        f"<h2>Metadata</h2>\n<pre><code>{escape(metadata)}</code></pre>\n</main>\n</body>\n</html>\n"
    )
