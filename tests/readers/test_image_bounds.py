"""Images that promise far more than they hold: every verb ends soon, in little memory, with a finding."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from builder import Builder
from tiff_files import expect_refusal, read_all, read_one

GIB = 2**30
MEMORY = 500 * 2**20
RUN = r"""
import re, resource, sys
from pathlib import Path
from neuropress.cli.main import main
resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
root, *verbs = sys.argv[1:]
for verb in verbs:
    print("verb", verb, main([verb, root, "--json"]), flush=True)
# Not ru_maxrss: it counts what the process was before it became this program, and so the test runner's memory.
status = Path("/proc/self/status")
peak = int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) if status.exists() else 0
print(peak * 1024, file=sys.stderr)
"""


def make_entry(code: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", code, 4, count, value)


def write_tiff(path: Path, tags: list[dict[int, tuple[int, int]]], data: bytes, start: int = 8) -> None:
    """Pages of LONG tags (count, value); values count from the data's begin where they are negative."""
    length = sum(2 + 12 * len(page) + 4 for page in tags)
    raw, at = b"", start
    for number, page in enumerate(tags):
        following = at + 2 + 12 * len(page) + 4
        entries = [make_entry(c, n, v if v >= 0 else start + length - v - 1) for c, (n, v) in sorted(page.items())]
        last = number == len(tags) - 1
        raw += struct.pack("<H", len(page)) + b"".join(entries) + struct.pack("<I", 0 if last else following)
        at = following
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + raw + data)


def make_page(side: int, codec: int, count: int, offset: int = -1) -> dict[int, tuple[int, int]]:
    tags = {256: side, 257: side, 258: 8, 259: codec, 262: 1, 273: offset, 277: 1, 278: side, 279: count}
    return {code: (1, value) for code, value in tags.items()}


def compress_zeros(count: int) -> bytes:
    """Zeros by deflate, not all of them in memory."""
    pack, part = zlib.compressobj(1), bytes(2**20)
    whole, rest = divmod(count, len(part))
    return b"".join(pack.compress(part) for _ in range(whole)) + pack.compress(bytes(rest)) + pack.flush()


def write_shared_strips(path: Path) -> None:
    """4 x 1 GiB in 16,384 strips each, which are all the same few bytes."""
    strip = bytes(imagecodecs.zstd_encode(bytes(2 * 32768)))
    head = {c: (1, v) for c, v in {256: 32768, 257: 32768, 258: 8, 259: 50000, 262: 1, 277: 1, 278: 2}.items()}
    count, base = 16384, 8 + 4 * (2 + 12 * 9 + 4)
    tables = struct.pack("<I", base + 8 * count) * count + struct.pack("<I", len(strip)) * count
    write_tiff(path, [head | {273: (count, -1), 279: (count, -1 - 4 * count)} for _ in range(4)], tables + strip)


def write_overlapping_directories(path: Path) -> None:
    """A chain in which each directory takes in the following ones."""
    raw = bytearray(b"II*\0" + struct.pack("<I", 8) + bytes(60_000))
    for at in range(8, 40_000, 2):
        struct.pack_into("<H", raw, at, 4000)
    path.write_bytes(raw)


def write_endless_directories(path: Path) -> None:
    """A sub-directory that is its own page, and one that is itself."""
    tags = make_page(4, 1, 16) | {330: (1, 8)}
    write_tiff(path, [tags], bytes(16))


def write_overlapping_private_directories(path: Path) -> None:
    """A page whose EXIF tag points to 2,000 directories, each of which takes in those behind it."""
    count, shorts = 2000, np.full(60_000, 4000, "<u2").tobytes()
    base = 8 + 2 + 12 * 10 + 4
    places = struct.pack(f"<{count}I", *range(base + 16 + 4 * count, base + 16 + 6 * count, 2))
    write_tiff(path, [make_page(4, 1, 16) | {34665: (count, -1 - 16)}], bytes(16) + places + shorts)


def write_many_tags(path: Path) -> None:
    entries = struct.pack("<HHQQ", 256, 4, 2**60, 16)
    path.write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 1) + entries + bytes(64))


def write_many_directory_entries(path: Path) -> None:
    path.write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 2**60) + bytes(64))


def write_bomb(path: Path) -> None:
    """A strip that inflates to 1 GiB in a page of 64 x 64."""
    data = compress_zeros(GIB)
    write_tiff(path, [make_page(64, 8, len(data))], data)


def write_jpeg_bomb(path: Path) -> None:
    """A JPEG that calls itself 65,500 pixels wide and high, in a page of 64 x 64."""
    data = bytearray(imagecodecs.jpeg_encode(np.zeros((64, 64), np.uint8)))
    at = data.find(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 65500, 65500)
    write_tiff(path, [make_page(64, 7, len(data))], bytes(data))


def write_one_strip(path: Path) -> None:
    data = compress_zeros(GIB)
    write_tiff(path, [make_page(32768, 8, len(data))] * 4, data)


def write_exif(path: Path, values: int) -> None:
    """A page whose EXIF directory has one tag, with so many LONG values behind it, of which four are there."""
    entry = struct.pack("<H", 1) + make_entry(37510, values, 8 + 2 + 12 * 10 + 4 + 16 + 18) + bytes(4)
    write_tiff(path, [make_page(4, 1, 16) | {34665: (1, -1 - 16)}], bytes(16) + entry + bytes(16))


def write_metamorph(path: Path, values: int) -> None:
    """A page with MetaMorph's tag of so many values, for each of which it has 24 bytes whatever it says."""
    write_tiff(path, [make_page(4, 1, 16) | {33629: (values, -1 - 16)}], bytes(16 + 240))
    path.write_bytes(path.read_bytes().replace(struct.pack("<HH", 33629, 4), struct.pack("<HH", 33629, 5)))  # RATIONAL


@pytest.mark.parametrize(("write", "most"), [(write_exif, 4), (write_metamorph, 10)])
def test_what_tags_point_to_is_whole_or_the_file_is_cut(
    tmp_path: Path, write: Callable[[Path, int], None], most: int
) -> None:
    write(tmp_path / "whole.tif", most)
    read_all(tmp_path / "whole.tif")
    write(tmp_path / "cut.tif", most + 1)
    assert expect_refusal(tmp_path / "cut.tif").finding.id == "tiff.truncated"


def test_a_sub_directory_at_no_place_is_none(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", [make_page(4, 1, 16) | {330: (1, 0)}], bytes(16))
    assert read_one(tmp_path / "a.tif")[1].shape == (4, 4)


HOSTILE: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "4 x 1 GiB, plain": (lambda p: write_tiff(p, [make_page(32768, 1, GIB)] * 4, bytes(100)), {"tiff.truncated"}),
    "4 x 1 GiB, zstd": (lambda p: write_tiff(p, [make_page(32768, 50000, 90)] * 4, bytes(100)), {"image.hostile"}),
    "4 x 1 GiB, zeros in one strip": (write_one_strip, {"image.hostile"}),
    "4 x 1 GiB, never written": (
        lambda p: write_tiff(p, [make_page(32768, 1, 0, 0)] * 4, bytes(100)),
        {"image.hostile"},
    ),
    "4 x 1 GiB, shared strips": (write_shared_strips, {"image.hostile"}),
    "2^32 x 2^32 pixels": (lambda p: write_tiff(p, [make_page(2**32 - 1, 1, 99)], bytes(100)), {"tiff.truncated"}),
    "overlapping directories": (write_overlapping_directories, {"image.hostile", "tiff.damaged", "tiff.truncated"}),
    "overlapping private directories": (write_overlapping_private_directories, {"image.hostile"}),
    "endless sub-directories": (write_endless_directories, {"tiff.damaged"}),
    "a tag of 2^60 values": (write_many_tags, {"tiff.truncated"}),
    "2^60 tags": (write_many_directory_entries, {"tiff.damaged"}),
    "deflate bomb": (write_bomb, {"tiff.damaged", "image.hostile"}),
    "JPEG of another size": (write_jpeg_bomb, {"image.hostile"}),
}


def make_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def make_png(side: int, body: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + make_chunk(b"IHDR", header) + make_chunk(b"IDAT", body) + make_chunk(b"IEND", b"")


def run_verbs(root: Path, *verbs: str) -> dict[str, set[str]]:
    """Ids of the findings of each verb that fails, in a process of its own, whose memory is looked at."""
    command = [sys.executable, "-c", RUN, str(root), *verbs]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30 * len(verbs), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert int(done.stderr.split()[-1]) < MEMORY
    ids_by_verb: dict[str, set[str]] = {}
    ids: set[str] = set()
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            ids.add(str(json.loads(line).get("id")))
        elif line.startswith("verb") and line.endswith(" 1"):
            ids_by_verb[line.split()[1]] = ids
            ids = set()
    return ids_by_verb


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tiff_ends_soon_in_little_memory(tmp_path: Path, name: str) -> None:
    write, expected = HOSTILE[name]
    write(tmp_path / "h.tif")
    build = Builder(tmp_path / "ds")
    build.sem(tmp_path / "h.tif")
    late = name == "deflate bomb" or name.startswith("JPEG")  # known only when pixels are decoded
    ids_by_verb = run_verbs(build.root, *(("convert",) if late else ("check", "plan", "convert")))
    assert ids_by_verb["convert"] & expected
    assert late or ids_by_verb["check"] & ids_by_verb["plan"] & expected


@pytest.mark.parametrize("side", [100_000, 20_000])
def test_hostile_png_ends_soon_in_little_memory(tmp_path: Path, side: int) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "z1.png").write_bytes(make_png(side, b"" if side == 100_000 else compress_zeros(side * (side + 1))))
    build = Builder(tmp_path / "ds")
    build.sem(folder)
    ids_by_verb = run_verbs(build.root, "check", "convert")
    assert "image.hostile" in ids_by_verb["check"] & ids_by_verb["convert"]


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000", "png", "webp", "jpegxl", "jpegxr"])
def test_a_codestream_larger_than_its_tile_is_not_decoded(tmp_path: Path, codec: str) -> None:
    """Each codec's own header, by an image of 2,048 x 2,048 in a page of 16 x 16."""
    compression = {"jpeg": 7, "jpeg2000": 34712, "png": 34933, "webp": 50001, "jpegxl": 50002, "jpegxr": 34934}[codec]
    pixels = np.zeros((2048, 2048, 3) if codec == "webp" else (2048, 2048), np.uint8)
    encode = {"jpeg2000": "jpeg2k"}.get(codec, codec)
    data = bytes(getattr(imagecodecs, f"{encode}_encode")(pixels))
    tags = make_page(16, compression, len(data))
    if codec == "webp":
        tags |= {262: (1, 2), 277: (1, 3)}
    write_tiff(tmp_path / "h.tif", [tags], data)
    found = expect_refusal(tmp_path / "h.tif").finding
    assert found.id == "image.hostile"
    assert "states 2048 x 2048 pixels, where 256 fit" in found.message


def test_a_large_page_of_one_strip_that_is_stored_is_read(tmp_path: Path) -> None:
    """The budget is for what is claimed, not for what is there."""
    data = np.arange(2048 * 2048, dtype=np.uint32).reshape(2048, 2048)
    tifffile.imwrite(tmp_path / "m.tif", data, rowsperstrip=2048, compression="zlib", metadata=None)
    np.testing.assert_array_equal(read_one(tmp_path / "m.tif")[1], data)
