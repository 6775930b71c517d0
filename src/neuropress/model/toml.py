"""Values as TOML writes them, for settings that are written by neuropress."""

from __future__ import annotations

import json
from typing import Any


def format_toml_text(text: str) -> str:
    """A basic string: JSON's, but for characters that TOML wants escaped too."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def format_toml_value(value: Any) -> str:
    """A text, number, truth or list of such."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(format_toml_value(one) for one in value)}]"
    return format_toml_text(value)
