"""Links that hold in the repository hold on the site: a hook of MkDocs.

README.md, CONTRIBUTING.md and CHANGELOG.md stand at the top of the repository, above the site's pages. The site has the
latter two by links in docs/, and docs/index.md in place of the README.
"""

from __future__ import annotations

import re
from typing import Any

PAGES = {"README": "index.md", "CONTRIBUTING": "contributing.md", "CHANGELOG": "changelog.md"}
FROM_THE_TOP = ("contributing.md", "changelog.md")
"""Pages whose links begin at the top of the repository."""


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links of one page as they must be on the site."""
    place: str = page.file.src_uri
    above = "../" * place.count("/")
    to_the_top = "" if place in FROM_THE_TOP else re.escape(f"../{above}")
    if place in FROM_THE_TOP:
        markdown = markdown.replace("](docs/", "](")
    link = re.compile(rf"\]\({to_the_top}({'|'.join(PAGES)})\.md")
    return link.sub(lambda found: f"]({above}{PAGES[found[1]]}", markdown)
