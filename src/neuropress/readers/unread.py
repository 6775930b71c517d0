"""Formats that labs have and that no reader takes yet, so that a file of one can be called by its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """A format that is known by its content or its name only, and what a person can do.

    `signatures` are pairs of an offset and the bytes there. Of a format without any, the suffix tells.
    """

    title: str
    way_out: str
    signatures: tuple[tuple[int, bytes], ...] = ()
    suffixes: tuple[str, ...] = ()

    def matches(self, head: bytes, name: str) -> bool:
        """Whether a file that begins with `head` is of it."""
        if any(head[offset:].startswith(magic) for offset, magic in self.signatures):
            return True
        return not self.signatures and name.lower().endswith(self.suffixes)


_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_AS_TIFF = "Export it as OME-TIFF ({}), which keeps pixels and calibration."
_AS_ABF = "Export the sweeps as ABF, which is read."
_UNPACK = "Unpack it, and name the file or the folder that was in it."
_ANALYZE = ((0, b"\x5c\x01\0\0"), (0, b"\0\0\x01\x5c"))
"""Bytes of its header, 348, in either order."""

STAND_INS = (
    UnreadFormat(
        "a pointer of Git LFS, not the file itself", "Fetch what it stands for: git lfs pull.",
        ((0, b"version https://git-lfs"),),
    ),
    UnreadFormat(
        "a pointer of git-annex, not the file itself", "Fetch what it stands for: git annex get, or datalad get.",
        ((0, b"/annex/objects/"),),
    ),
    UnreadFormat(
        "a web page", "It was saved in place of the file: download that again, signed in where it is needed.",
        ((0, b"<!DOCTYPE html"), (0, b"<!doctype html"), (0, b"<html"), (0, b"<HTML")),
    ),
)  # fmt: skip
"""What lies in place of a file, whatever its name says."""

# A name that says more than the content comes first.
UNREAD = (
    UnreadFormat("an OLE file that is no Olympus OIB", _AS_TIFF.format("Fiji with Bio-Formats"), ((0, _OLE),)),
    UnreadFormat("a Leica XLEF, XLIF or LOF", "Save the project as LIF.", (), (".lof", ".xlef", ".xlif")),
    UnreadFormat("an MRC map", _AS_TIFF.format("IMOD: mrc2tif, or Fiji"), ((208, b"MAP "),)),
    UnreadFormat(
        "a packed stack of Vaa3D (PBD)",
        "Open it in Vaa3D, and save it as .v3draw.",
        ((0, b"v3d_volume_pkbitdf_encod"),),
    ),
    UnreadFormat("a Gatan DM3 or DM4", _AS_TIFF.format("DigitalMicrograph, or Fiji"), (), (".dm3", ".dm4")),
    UnreadFormat("an AxoGraph file", _AS_ABF, ((0, b"AxGr"), (0, b"axgx"))),
    UnreadFormat("a HEKA PatchMaster bundle", _AS_ABF, ((0, b"DAT1"), (0, b"DAT2"))),
    UnreadFormat("a Spike2 SMR or SMRX", _AS_ABF, (), (".smr", ".smrx")),
    UnreadFormat(
        "an HDF5 file of a layout of its own",
        'Export what it holds in a format that is read; of simulations state reader = "sonata", of tracked points '
        'reader = "deeplabcut" or "sleap".',
        ((0, _HDF5),),
    ),
    UnreadFormat("a gzip-compressed file", "Unpack it (gunzip), and name the unpacked file.", ((0, b"\x1f\x8b"),)),
    UnreadFormat("a bzip2-compressed file", "Unpack it (bunzip2), and name the unpacked file.", ((0, b"BZh"),)),
    UnreadFormat("an xz-compressed file", "Unpack it (unxz), and name the unpacked file.", ((0, b"\xfd7zXZ\0"),)),
    UnreadFormat("an Excel workbook", "Save the sheet as CSV UTF-8.", (), (".xlsx", ".xlsm", ".xls")),
    UnreadFormat("a WinWCP file", _AS_ABF, (), (".wcp",)),
    UnreadFormat(
        "a recording of extracellular electrodes or EEG",
        'neuroconv may read it: state reader = "neuroconv" and interface (neuropress tools interfaces).',
        (),
        (".rhd", ".rhs", ".edf", ".bdf", ".ncs", ".nev", ".ns5", ".ns6", ".plx", ".oebin", ".continuous"),
    ),
    UnreadFormat("a TDMS file of LabVIEW", "Export its channels as CSV or HDF5.", ((0, b"TDSm"),)),
    UnreadFormat("a ZIP archive", _UNPACK, ((0, b"PK\x03\x04"),)),
    UnreadFormat("a 7-Zip archive", _UNPACK, ((0, b"7z\xbc\xaf\x27\x1c"),)),
    UnreadFormat("an Analyze 7.5 header", "Save the volume as NIfTI (.nii.gz).", _ANALYZE),
    UnreadFormat("the voxels of a pair", "Name its header (.hdr), which lies beside it.", (), (".img",)),
    UnreadFormat(
        "an MPEG program stream", "Copy its stream: ffmpeg -i in.mpg -c copy out.mkv.", ((0, b"\0\0\x01\xba"),)
    ),
    UnreadFormat("a GIF", "Save its frames as TIFF, without the palette.", ((0, b"GIF8"),)),
    UnreadFormat("a WMV video", "Copy its stream: ffmpeg -i in.wmv -c copy out.mkv.", ((0, b"\x30\x26\xb2\x75"),)),
    UnreadFormat("a pickled object", "It is never opened, because opening it runs code.", (), (".pkl", ".pickle")),
    UnreadFormat(
        "XML",
        "Markers of CellCounter and cellfinder are points of a volume, named under [points]: neuropress docs volumes.",
        (),
        (".xml",),
    ),
    UnreadFormat(
        "a text without rows of numbers",
        "It travels as it is; recordings as text are rows of numbers, with or without a line of names above.",
        (),
        (".csv", ".tsv", ".txt"),
    ),
)


def find_unread_format(head: bytes, name: str) -> UnreadFormat | None:
    """The format of a file that no reader takes; None where it is of none that is known."""
    return next((one for one in (*STAND_INS, *UNREAD) if one.matches(head, name)), None)


def is_stand_in(head: bytes) -> bool:
    """Whether a file only stands for another one, so that its name says nothing of what it holds."""
    return any(one.matches(head, "") for one in STAND_INS)
