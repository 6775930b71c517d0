"""NWB files: the recordings of one session, with everything that its rows say, or what one row's simulation gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kind import Kind
from . import late_imports

if TYPE_CHECKING:
    from ...storage.remote import ResultPath

HDF5 = b"\x89HDF\r\n\x1a\n"


def _is_hdf5_file(path: ResultPath) -> bool:
    with path.open("rb") as file:
        return file.read(len(HDF5)) == HDF5


late_imports.install()
KIND = Kind(
    name="nwb",
    target="session",
    suffix=".nwb",
    is_folder=False,
    label="core NWB",
    template="{lab}/{date}/session/nwb/{id}.nwb",
    recognises=_is_hdf5_file,
    package="neuropress.results.nwb.file",
    frame="session",
    libraries=("h5py", "imagecodecs"),
    checked_by=("hdmf", "pynwb"),
    row_target="simulation",
    row_template="{lab}/{table}/nwb/{id}.nwb",
)
