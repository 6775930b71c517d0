"""What the pages show is run, and prints what they say. ``NEUROPRESS_DOCS=write`` rewrites what they say."""

from __future__ import annotations

import os
from pathlib import Path

import first_hour
import numpy as np
import pytest
from doc_pages import DOCS, KINDS, PAGES, Page, is_as_shown, is_writing, make_raw_files, mask_varying, parse_blocks
from doc_pictures import DRAWN, PLOTTED, draw_raw_files
from imagecodecs import png_decode


@pytest.mark.skipif(os.name == "nt", reason="pages show paths as POSIX systems write them")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_what_it_shows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    make_raw_files(tmp_path)
    page = Page(name, tmp_path)
    text = page.run()
    if is_writing():
        page.path.write_text(text, "utf-8")
        page.wrong = [wrong for wrong in page.wrong if "prints now" not in wrong]
    assert not page.wrong, "\n\n".join([*page.wrong, "NEUROPRESS_DOCS=write pytest tests/test_docs_run.py rewrites it"])


@pytest.mark.parametrize("name", PAGES)
def test_every_block_of_a_page_is_one_that_runs(name: str) -> None:
    text = (DOCS / name).read_text("utf-8")
    blocks = parse_blocks(text)
    assert text.count("```") == 2 * len(blocks)
    for block, above in zip(blocks, [None, *blocks], strict=False):
        assert block.kind in KINDS, block
        assert bool(block.title) == (block.kind in ("csv", "toml")), block
        assert block.kind != "text" or (above and above.kind == "python"), block


def test_a_shown_line_is_compared_but_for_what_varies() -> None:
    assert is_as_shown(["made in ... s", "a ... b"], ["made in 0.31 s", "a ... b"])
    assert not is_as_shown(["made in ... s"], ["made in 0.31 s", "more"])
    assert not is_as_shown(["1 converted"], ["1 converted, 1 warning"])
    assert not is_as_shown(["a.b"], ["axb"])
    assert is_as_shown(["file, 120 bytes"], ["file, 124 bytes"])
    assert not is_as_shown(["120 bytes equal"], ["124 bytes equal"])
    assert mask_varying("/tmp/x/a.nwb in 3 s " + "0f" * 32, Path("/tmp/x")) == [".../a.nwb in ... s ..."]


WRONG = """\
# A page

```console
$ neuropress formats ibw | head -1
what it never printed
in two lines
$ neuropress docs \\
    nothing
```

```csv title="t.csv"
id,name
b,Bo
a,Ann
```

```python
from pathlib import Path
print(Path("t.csv").read_text("utf-8"), 1 + 1)
```

```text
3
```
"""


def test_a_page_is_rewritten_from_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = tmp_path / "page.md"
    written.write_text(WRONG.replace("```console", "<!-- status 2 -->\n```console"), "utf-8")
    (tmp_path / "t.csv").write_text("id,size,name\na,1,\n", "utf-8")
    page = Page(str(written), tmp_path)
    written.write_text(page.run(), "utf-8")
    assert len(page.wrong) == 3
    text = written.read_text("utf-8")
    assert "never printed" not in text
    assert "there is no topic 'nothing'" in text
    assert "```text\nid,size,name\na,1,Ann\nb,,Bo\n 2\n```\n" in text
    again = Page(str(written), tmp_path)
    assert again.run() == text
    assert not again.wrong


def test_the_first_hour_is_counted_and_short() -> None:
    recording, stack, dataset = first_hour.list_tasks()
    text = (DOCS / "first-hour.md").read_text("utf-8")
    for task, most in ((recording, 2), (stack, 2), (dataset, 8)):
        assert len(task.commands) <= most, task.title
        assert first_hour.format_row(task, "").removesuffix(" |") in text, "python tests/first_hour.py"


@pytest.mark.parametrize("picture", [*DRAWN, PLOTTED])
def test_pictures_are_small(picture: str) -> None:
    assert 0 < (DOCS / "pictures" / picture).stat().st_size < 60_000


def test_pictures_are_what_is_drawn_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_raw_files(tmp_path)
    (tmp_path / "drawn").mkdir()
    draw_raw_files(tmp_path / "drawn")
    for name in DRAWN:
        drawn, shown = (png_decode((folder / name).read_bytes()) for folder in (tmp_path / "drawn", DOCS / "pictures"))
        assert np.array_equal(drawn, shown), "python tests/doc_pictures.py"
