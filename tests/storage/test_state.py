"""Small files of the state folder: what a link or another program left there is neither written to nor believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuropress.storage.state import DigestCache, StateFile


def test_a_linked_folder_of_state_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    file = StateFile(tmp_path / "state" / "released.json")
    file.data["AB_S_0001"] = {"release": "1.0.0"}
    with pytest.raises(NotADirectoryError, match="not the folder that neuropress made"):
        file.save()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "spoil", [lambda line: [line[0], True, *line[2:]], lambda line: line[:4], lambda line: line[:1]]
)
def test_a_line_of_another_form_was_never_known(tmp_path: Path, spoil: object) -> None:
    """JSON's true equals a size of 1, and is none."""
    raw, folder = tmp_path / "raw", tmp_path / "state"
    raw.write_bytes(b"x")
    folder.mkdir()
    cache = DigestCache(folder)
    right = cache.get_file_digest(raw)
    cache.save()
    (kept,) = folder.glob("digests*")
    line = [*json.loads(kept.read_text())[:-1], "f" * 64]
    kept.write_text(json.dumps(line))
    assert DigestCache(folder).get_file_digest(raw).sha256 == "f" * 64  # believed, where the form is right
    kept.write_text(json.dumps(spoil(line)))  # type: ignore[operator]
    assert DigestCache(folder).get_file_digest(raw) == right
