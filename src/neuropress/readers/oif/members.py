"""The files that an OIF consists of: beside its main file, or inside of an OIB."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from ...model.finding import Problem, problem
from ...model.source import BeforeRead, Source, Stamp, no_wait
from ..microscopes.library import HeaderFile, guard_library
from ..stamp import check_unchanged

MAIN_BYTES = 16 * 2**20
"""A file of settings: real ones have some 100 kB."""


class Members(Protocol):
    """Access to the members by their path in the OIF, as the main file's folder has them."""

    names: tuple[str, ...]

    def open(self, name: str) -> Source:
        """A member as a raw object of its own."""
        ...

    def read_main(self) -> bytes:
        """The main file."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class FolderMembers:
    """Members in the folder ``NAME.oif.files`` beside the main file.

    Raises
    ------
    Problem
        ``oif.member``: there is no such folder.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        folder = f"{source.key}.files"
        if not source.root.holds(folder) or source.root.stamp(folder) is not None:
            raise problem("oif.member", f"{source.key}: the folder {folder} is not there", file=source.key)
        self._keys = {name: f"{folder}/{name}" for name in source.root.members(folder) if not name.startswith(".")}
        self.names = tuple(self._keys)
        for key in self._keys.values():
            source.stamp(key)  # every member is an input of the result

    def open(self, name: str) -> Source:
        """A member beside the main file."""
        return Source(self._keys[name], self._source.root)

    def read_main(self) -> bytes:
        """The main file itself."""
        return _check_main(self._source.read(), self._source.key)

    def close(self) -> None:
        """Nothing is open between two planes."""


class OleMembers:
    """Members of an OIB: streams of an OLE file, which ``OibInfo.txt`` in it names.

    Raises
    ------
    Problem
        ``microscope.damaged``
    """

    def __init__(self, library: Any, source: Source, warnings: list[str]) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._file = HeaderFile(source)
        self._stamp = self._file.file_stamp
        try:
            with guard_library("oiffile", self._file, warnings):
                self._streams = _open_compound(library, self._file)
                info = library.SettingsFile(self._streams.open_file("OibInfo.txt"), "OibInfo.txt")["OibSaveInfo"]
                places = {PurePosixPath(str(place)).name: str(place) for place in self._streams.files()}
                named = {str(name): places[key] for key, name in info.items() if str(key).startswith("Stream")}
                self._main = named[str(info[info["MainFileName"]])]
        except BaseException:
            self._file.close()
            raise
        self._paths = {PurePosixPath(name.replace("\\", "/")).name: place for name, place in named.items()}
        self.names = tuple(sorted(self._paths))

    def open(self, name: str) -> Source:
        """A member's bytes, which are read as a whole."""
        return Source(f"{self._source.key}/{name}", _OleRoot(self, name))

    def read_main(self) -> bytes:
        """The stream that the OIB names as its main file."""
        return _check_main(self._read(self._main), self._source.key)

    def _read(self, place: str) -> bytes:
        """All bytes of a stream."""
        with self._lock:
            if self._file.closed:  # a later read opens anew
                self._file = self._streams._fh = HeaderFile(self._source)
        check_unchanged(self._file.file_stamp, self._stamp, self._source.key)
        check_unchanged(self._source.stamp(), self._stamp, self._source.key)
        try:
            with self._streams.open_file(place) as stream:
                return bytes(stream.read())
        except Problem:
            raise
        except (Exception, MemoryError) as error:
            if self._file.failure:
                raise self._file.failure from error
            message = (
                f"{self._source.key}: its part {place} cannot be read ({type(error).__name__}: {str(error)[:200]})"
            )
            raise problem("microscope.damaged", message, file=self._source.key) from error

    def read_member(self, name: str) -> bytes:
        """All bytes of a member, by its name."""
        return self._read(self._paths[name])

    @property
    def stamp(self) -> Stamp:
        """The stamp of the OIB."""
        return self._stamp

    def close(self) -> None:
        """Close the OIB."""
        self._file.close()


def _open_compound(library: Any, file: HeaderFile) -> Any:
    """The library's OLE file on a file that is open: its own constructor takes files of this machine only."""
    compound = library.CompoundFile.__new__(library.CompoundFile)
    compound.filename, compound._fh, compound._lock = file.key, file, threading.Lock()
    file.seek(0)
    compound._fromfile()
    return compound


class _OleBytes(io.BytesIO):
    """A member that was read, as `neuropress.model.source.RawBytes`."""

    def __init__(self, data: bytes, stamp: Stamp) -> None:
        super().__init__(data)
        self._stamp = stamp

    def stamp(self) -> Stamp:
        """Its size, and the stamp of the OIB."""
        return self._stamp


class _OleRoot:
    """One member of an OIB as a place of raw files, so that the reader of TIFF pages can be given it."""

    def __init__(self, members: OleMembers, name: str) -> None:
        self._members, self._name = members, name
        self._data: bytes | None = None
        self.name = name

    def _read(self) -> bytes:
        if self._data is None:
            self._data = self._members.read_member(self._name)
        return self._data

    def holds(self, key: str) -> bool:
        """It holds its member alone."""
        return PurePosixPath(key).name == self._name

    def stamp(self, key: str) -> Stamp | None:
        """Size of the member, and the times of the OIB."""
        return (len(self._read()), *self._members.stamp[1:])

    def members(self, folder: str) -> tuple[str, ...]:
        """No member has members."""
        return ()

    def files(self, folder: str) -> tuple[str, ...]:
        """No member has members."""
        return ()

    def open(self, key: str) -> io.RawIOBase:
        """Its bytes in memory."""
        return _OleBytes(self._read(), (len(self._read()), *self._members.stamp[1:]))  # type: ignore[return-value]

    def path(self, key: str) -> Path | None:
        """It has no path."""
        return None

    def sha256(self, key: str, before_read: BeforeRead = no_wait) -> str:
        """Members have no digest of their own; the OIB has."""
        raise NotImplementedError


def _check_main(data: bytes, key: str) -> bytes:
    if len(data) > MAIN_BYTES:
        raise problem("image.hostile", f"{key}: its settings have {len(data)} bytes", file=key)
    return data


def parse_settings(library: Any, data: bytes, key: str) -> Mapping[str, Mapping[str, Any]]:
    """Section -> key -> value of an ini in UTF-16 or UTF-8.

    Raises
    ------
    Problem
        ``microscope.damaged``
    """
    try:
        settings = library.SettingsFile(io.BytesIO(data), key)
    except (Exception, MemoryError) as error:
        message = f"{key}: the library oiffile cannot read its settings ({type(error).__name__}: {str(error)[:200]})"
        raise problem("microscope.damaged", message, file=key) from error
    return {str(name): part for name, part in settings.items() if isinstance(part, dict)}
