"""Datasets that are published through the command line, and what a campaign looks at meanwhile and afterwards."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import tifffile
from builder import Builder, abf, slices

from neuropress.cli.main import main
from neuropress.release import list_releases, verify_release

POLL_SECONDS = 0.05


def small_dataset(folder: Path, *, number: int = 0, large: bool = False) -> Path:
    """A converted dataset of a recording and a volume; `large` adds a movie that is sent in parts."""
    build = Builder(folder / "ds")
    build.change("mouse", weight=f"24.5{number}")
    build.session(1)
    build.ephys(abf(folder / "e.abf"), "20000")
    build.sem(slices(folder / "v"))
    if large:
        pixels = np.random.default_rng(1).integers(0, 60000, (48, 256, 256)).astype(np.uint16)
        tifffile.imwrite(folder / "m.tif", pixels, photometric="minisblack", metadata=None)
        build.movie(folder / "m.tif", pixels.shape)
    assert main(["convert", str(build.root)]) == 0
    return build.root


def publish_command(root: Path, target: Any, endpoint: str | None, number: str) -> list[str]:
    where = ["--endpoint", endpoint] if endpoint else []
    return ["publish", str(root), "--to", target.url, *where, "--release", number]


def publish_until_done(command: list[str], attempts: int = 20) -> int:
    """Publish; again as long as the network failed. How often it did."""
    for attempt in range(attempts):
        status = main(command)
        if status == 0:
            return attempt
        assert status == 3, f"publish ended with {status}"
    raise AssertionError(f"publish failed {attempts} times")


def digests(target: Any) -> dict[str, str]:
    """Key -> SHA-256 of all data, and of every release's manifest."""
    kept = ("releases/latest.json", "releases/staged/", "releases/claims/", "releases/next/")
    return {k: hashlib.sha256(v).hexdigest() for k, v in target.objects().items() if not k.startswith(kept)}


def check_history(target: Any) -> list[str]:
    """Numbers of all releases from the first to the last: each but the first follows another, no two the same one."""
    folder = "releases/"
    found = {
        key.removeprefix(folder).removesuffix(".json"): (json.loads(data), hashlib.sha256(data).hexdigest())
        for key, data in target.objects().items()
        if key.startswith(folder) and key.count("/") == 1 and key.endswith(".json") and key != f"{folder}latest.json"
    }
    after: dict[str | None, str] = {}
    for number, (release, _) in found.items():
        parent = release["parent"]
        before = parent["number"] if parent else None
        assert before not in after, f"{number} and {after[before]} both follow {before}"
        assert not parent or parent["sha256"] == found[before][1]
        after[before] = number
    chain: list[str] = []
    while (number := after.pop(chain[-1] if chain else None, None)) is not None:
        chain.append(number)
    assert not after, f"no way leads from the first release to {sorted(after.values())}"
    return chain


class Reader:
    """Looks for releases the whole time, past any proxy, and checks at once that all bytes of each are there."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.seen: list[str] = []
        self.findings: list[Any] = []
        self.error: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        if error is None:
            assert self.error is None, f"the reader failed: {self.error!r}"
            assert self.findings == [], self.findings
            assert self.seen, "the reader saw no release"

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self.look()
                time.sleep(POLL_SECONDS)
            self.look()
        except BaseException as error:  # noqa: BLE001 - reported by the thread that waits
            self.error = error

    def look(self) -> None:
        numbers = list_releases(self.target.url, self.target.endpoint)
        assert set(self.seen) <= set(numbers), "a release vanished"
        for number in numbers:
            if number not in self.seen:
                found = verify_release(self.target.url, number, deep=True, endpoint=self.target.endpoint)
                # The text for people and the hint follow the manifest, so that they never name a loser.
                self.findings += [one for one in found if one.id != "release.text"]
                self.seen.append(number)
