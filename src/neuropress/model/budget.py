"""The budget: what bytes that others wrote may cost, stated once and applied where they are first parsed.

A limit here is far above anything that real metadata, headers or results hold, and far
below what would stop a laptop. Whoever parses foreign bytes takes its limit from here and
answers with a finding that names the limit; nothing is truncated in silence.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

DEPTH = 64
"""Levels of nesting of JSON and TOML."""

JSON_BYTES = 256 * 2**20
"""A JSON document: the provenance of a result with ten thousand arrays has a hundredth of it, its headers aside."""

DECODED_BYTES = 128 * 2**20
DECODED_NODE = 16
"""What JSON in columns may come to (see `columns`), counted as so many bytes for each value and its text: a session of
10,000 sweeps has a quarter of it."""

TOML_BYTES = 2**20
"""``neuropress.toml``, a profile or a mapping: the largest that is shipped has a fiftieth of it."""

TOML_KEY_PARTS = 16
"""Parts of one dotted key: tomllib takes quadratic time in them."""

# Results that others made.

HDF5_OBJECTS = 250_000
"""Links of an HDF5 file: a session of 10,000 sweeps has a third of it."""

HDF5_ATTRIBUTES = 4096
"""Attributes of one HDF5 object."""

HDF5_ROWS = 1_000_000
"""Elements of one HDF5 dataset of texts, references or compounds, each of which becomes a Python object."""

HDF5_RATIO = 1100
"""Uncompressed bytes to stored ones: deflate, the best of the filters that are read, reaches 1032."""

SMALL_BYTES = 64 * 2**20
"""What may be all fill value, whatever is stored."""

CHUNK_BYTES = 256 * 2**20
"""One chunk, uncompressed: it is decoded whole."""

BLOCK_BYTES = 512 * 2**20
"""One block of an array that is read and digested at a time."""

TEXT_BYTES = 256 * 2**20
"""All texts of one HDF5 dataset together; and what one read of them may take."""

BLOCKS = 20_000
BLOCK_LEAST = 4096
"""Blocks or chunks of one array, and where there are more, their bytes on the average: each costs a call."""

ZARR_ENTRIES = 4_000_000
"""Files and folders of an OME-Zarr."""

ZARR_NODES = 1000
"""Groups and arrays of an OME-Zarr."""

SHARD_CHUNKS = 2**20
"""Chunks of one shard: its index has 16 bytes for each."""

RANK = 32
"""Axes of an array."""

EXTENT = 2**48
"""Length of one axis."""

# Files that other programs exported.

FRAGMENT_OBJECTS = 50_000
"""Groups and datasets below one object that is taken over: 10,000 sweeps have fewer."""

FRAGMENT_TEXT = 16 * 2**20
"""Characters of the attributes and scalars below one such object, all of which the result's provenance repeats."""

# Images and their headers.

TIFF_TAGS = 4096
"""Tags of one TIFF directory; real ones have some twenty."""

TIFF_PAGES = 2_000_000
"""Directories of one TIFF file, sub-directories counted."""

TIFF_DEPTH = 8
"""Levels of sub-directories of a TIFF."""

TIFF_REREADS = 4
"""How often directories and tag values may cover a TIFF's bytes, before they count as overlapping on purpose."""

CODEC_RATIOS = {1: 8, 2: 200_000, 3: 200_000, 4: 200_000, 5: 4096, 7: 1100, 8: 1100, 32773: 130, 32946: 1100}
"""Decoded bytes per stored byte that a TIFF compression can reach; uncompressed bits become bytes."""

OTHER_RATIO = 200_000
"""The same for codecs without a known limit; zstd reaches 43,000 on zeros."""

SHARED_RATIO = 1100
"""The same for a page whose strips or tiles share their bytes."""

IMAGE_SLACK = 2**20
"""Decoded bytes that any image may claim, however few are stored."""

PAGE_BYTES = 2**36
"""Decoded bytes of one page that are believed at all."""

SEGMENT_BYTES = 2**28
"""Decoded bytes of one strip, tile or PNG that must be in memory at once, unless at least a part in
`SEGMENT_RATIO` of them is stored."""

SEGMENT_RATIO = 100

SEGMENT_LIMIT = 2**32
"""Decoded bytes of one strip, tile or PNG, whatever is stored."""

ROI_BYTES = 16 * 2**20
"""A file of ImageJ's regions of interest: 1,000 cells have a megabyte."""

ROI_MEMBERS = 20_000
"""Regions of one file."""

ROI_MEMBER_BYTES = 4 * 2**20
ROI_UNPACKED = 64 * 2**20
"""What one region, and what all of them, may unpack to."""

ROI_PIXELS = 2**25
"""Pixels of all masks of a file: 1,000 regions of 180 x 180, or two of a whole camera of 16 megapixels."""

ROI_RUNS = 2**21
"""Runs of pixels of all masks, one a row mostly: 20,000 cells of 50 rows have half of it."""

ROI_VERTICES = 2**18
"""Vertices that the curves of composite regions are flattened into."""

PICKLE_BYTES = 256 * 2**20
"""A NumPy file of objects: the regions of 1,000 cells have 16 MB."""

PICKLE_STEPS = 8_000_000
"""Opcodes of one pickle: 1,000 cells of suite2p have 260,000; a million takes a second."""

PICKLE_STACK = 1_000_000
"""Objects on its stack: pickles append to lists 1,000 at a time, tuples whole."""

PICKLE_DEPTH = 64
"""Levels of its containers."""

PICKLE_TEXT = 16 * 2**20
"""Bytes of all its texts."""

REGION_COUNT = 100_000
"""Regions of one segmentation."""

MASK_BYTES = 256 * 2**20
"""An image of regions, uncompressed: 1,000 planes of 512 x 512, or labels of 8,000 x 8,000."""

TRACE_BYTES = 256 * 2**20
TRACE_CELLS = 16_000_000
"""Traces of regions as text, and the numbers in it: 1,000 regions over 16,000 frames."""

SWC_BYTES = 64 * 2**20
"""A morphology as text."""

SWC_SAMPLES = 1_000_000
"""Samples of a morphology: each takes some 600 bytes while it is looked at."""

SWC_COMMENTS = 2**20
"""Characters of its comments, which travel in the result."""

ATF_BYTES = 2**31
ATF_HEADER_BYTES = 2**20
"""A recording as text, and the lines above its rows."""

ATF_COLUMNS = 10_001
"""Its columns: one of times, and one for each sweep of each channel."""

ATF_CELLS = 32_000_000
"""Its numbers, of 8 bytes each in memory, where so many of all such files stay: 100 MB of text have half of it."""

SONATA_SORTED = 2**24
"""Spikes of one population that do not stand node by node: sorting takes 40 bytes each in memory, for a while."""

SONATA_NODES = 1_000_000
"""Nodes of one population that spiked, each a row of a table with texts."""

SONATA_ELEMENTS = 2**22
"""Columns of a report; each has its node, element and position in memory."""

SONATA_POPULATIONS = 1000
SONATA_CONFIG = 2**20
SONATA_CONDITIONS = 400
"""A simulation's settings, and how many of them are repeated in the result; real ones have some fifty."""
# Files of named arrays.

ARRAY_SWEEPS = 100_000
"""Sweeps of one recording in such a file: 10,000 are many."""

ARRAY_ENTRIES = 100_000
"""Arrays and other things in one file: a struct of a whole day's session has some thousands."""

ARRAY_DEPTH = 32
"""Levels of structs and cells."""

ARRAY_AXES = 32
"""Axes of an array, as numpy and HDF5 have at most."""

ARRAY_NAME = 4096
"""Bytes of a name; MATLAB's have 63 at most, those of fields too."""

ARRAY_TEXT = 65_536
"""Bytes of a text that is looked at; longer ones are listed by their length."""

ARRAY_TIMES = 64_000_000
"""Times of a recording, or of behaviour, which are compared with one another in memory."""

MAT_UNPACKED = 2**31
"""What one compressed variable of a MAT file may unpack to, which MATLAB itself allows at most."""

MAT_UNPACKED_ALL = 2**33
"""The same of all of them together: each is unpacked once to look at it, 3 s for each GiB."""

ARRAY_KEPT = 256 * 2**20
"""Bytes of unpacked arrays and texts that stay in memory; the one read last stays, whatever its size."""

NPZ_MEMBERS = 10_000
"""Arrays of an NPZ."""

TRACE_BYTES = 2**30
TRACE_COLUMNS = 10_001
TRACE_CELLS = 32_000_000
"""Recordings as plain text: bytes, columns, and numbers, of 8 bytes each in memory."""
VIDEO_BYTES = 2**31
VIDEO_SECONDS = 60
VIDEO_RATE = 50 * 2**20
"""Memory and seconds of the process that looks at a video's container, and bytes a second that it may take longer."""

VIDEO_FRAMES = 20_000_000
"""A day at 200 frames a second."""

XML_BYTES = 64 * 2**20
"""An OME-XML document: one of ten thousand planes has three million bytes."""

XML_DEPTH = 64
"""Levels of elements of an OME-XML document."""

VENDOR_XML_DEPTH = 512
"""The same of what microscopes write of their hardware: a CZI has 70."""

XML_ELEMENTS = 1_000_000
"""Elements of an OME-XML document: two a plane, mostly."""

MICROMANAGER_BYTES = 256 * 2**20
"""A metadata.txt of MicroManager: some 3 kB a plane."""

PRAIRIE_BYTES = 128 * 2**20
PRAIRIE_ELEMENTS = 4_000_000
"""The XML of PrairieView: an hour at 30 Hz has some 90 MB, and ten elements a frame."""

HEADER_READ = 256 * 2**20
"""One read of a microscope's header by a library: the directory of a million tiles has two thirds of it."""

HEADER_TEXT = 64 * 2**20
"""One part of such a header, unpacked."""

CHUNK_NAMES = 4_000_000
"""Parts of an ND2 file: one a frame."""

MOSAIC_RATIO = 64
"""Pixels of the rectangle around the tiles of a mosaic to those of its tiles."""

MOSAIC_TILES = 1_000_000
"""Tiles of a CZI, pyramids counted."""

# Volumes whose voxels lie in one stretch.

NRRD_HEADER = 4 * 2**20
"""The text before the voxels: key/value pairs of a registration take some kilobytes."""

VOXEL_BZIP2 = 2**30
"""What a volume in bzip2 may unpack to, all of which is in memory while it is read."""

# Libraries that read a raw file a second time.

SECOND_READER_BYTES = 16 * 2**30
"""Address space of the process in which one reads: pyABF keeps a file twice as float32."""

SECOND_READER_SECONDS = 120
SECOND_READER_RATE = 2**20
"""What one raw object may take: so many seconds, and one more for each so many bytes of it."""

# Tables and settings.

SETTING_BYTES = 2**20
"""A dataset's own JSON Schema of one table."""

LINES_BYTES = 64 * 2**20
"""``facts.jsonl``, ``applied_fixes.csv``, ``waivers.csv`` or a file of proposals."""

LIST_BYTES = 16 * 2**20
"""A published list of attributes, from which a profile is drafted."""

TABLE_BYTES = 128 * 2**20
"""One table as text: 100,000 recordings take 20 MB."""

TABLE_ROWS = 100_000
"""Rows of one table: keys of four digits allow 9,999 a lab, 60,000 of six."""

TABLE_COLUMNS = 500
"""Columns of one table; the widest published one has 20."""

TABLE_CELLS = 10_000_000
"""Cells of one table: they are kept as text, 60 bytes each and more."""

LINE_CHARS = 2**20
"""Characters of one line of a table as text."""

CELL_CHARS = 131_072
"""Characters of one cell: the limit of Python's own CSV reader, and four times a spreadsheet's."""

NUMBER_CHARS = 64
"""Characters of a number, a truth, a date, a time or a key in a cell, without which expressions take quadratic time."""

SHOWN_CHARS = 1_000
"""Characters of a cell that a message repeats; it tells how many there are."""

WORKBOOK_BYTES = 64 * 2**20
"""An XLSX file as it lies on the disk."""

WORKBOOK_UNPACKED = 512 * 2**20
"""What it may unpack to: a small file can hold a very large one."""

WORKBOOK_CELLS = 2_000_000
"""Elements for cells in all sheets, and texts that they share: openpyxl takes 10 microseconds and more for each."""

WORKBOOK_ELEMENTS = 200_000
"""XML elements of each other part (styles, names of sheets, relations)."""

SOURCE_SECONDS = 10
"""What a database may take for all its tables: of computing in SQLite, for each query in PostgreSQL."""

PATTERN_SECONDS = 0.25
"""What a regular expression of a dataset's own schema may take for one cell."""

PATTERN_OVERRUNS = 3
"""Cells after which an expression that took too long is not tried again."""


class OverBudget(ValueError):
    """Foreign bytes ask for more than the budget allows; the text names the limit."""


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file of bounded size.

    Raises
    ------
    OverBudget
        It is larger, or no file at all: a pipe never ends, a device has no size, and a link may lead to itself.
    FileNotFoundError
        There is nothing of this name.
    """
    try:
        kind = path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL):
            raise OverBudget(f"its name cannot be followed ({error.strerror})") from None
        raise
    except ValueError:  # a NUL in the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    if not stat.S_ISREG(kind):
        raise OverBudget(f"it is {_KINDS.get(stat.S_IFMT(kind), 'a special file')}, not a file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OverBudget(f"it has more than {most} bytes")
    return data


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
