"""``python -m neuropress.model.findings_page``: docs/findings.md, generated from the catalogue."""

from __future__ import annotations

from .finding import catalogue

HEADER = """# Findings

Every finding that neuropress itself can give. Foreign validators' findings bear their own names
(`nwbinspector:check_...`, `pynwb:...`, `ome-zarr-models:...`).
Generated: `python -m neuropress.model.findings_page > docs/findings.md`.
"""


def page() -> str:
    """The page as Markdown, sorted by id."""
    parts = [HEADER]
    for name, entry in sorted(catalogue().items()):
        parts.append(f"## `{name}` ({entry['severity']})\n\n{entry['meaning']}\n")
        parts.append(f"*Example:* {entry['example']}\n\n*What to do:* {entry['fix']}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
