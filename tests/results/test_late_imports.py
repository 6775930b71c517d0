"""Writing NWB imports neither pandas nor zarr nor SciPy, and hdmf knows their objects all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"


def run(code: str) -> str:
    """What a fresh process prints that has imported all that writes NWB."""
    head = "import sys\nfrom neuropress.results.nwb import build, files\n"
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_is_imported_before_it_is_used() -> None:
    assert run("print([name for name in ('pandas', 'zarr', 'scipy') if name in sys.modules])") == "[]"


TABLE = """
from hdmf.common import DynamicTable, VectorData
from hdmf.utils import is_array_like, is_zarr_array
table = DynamicTable("t", "d", columns=[VectorData(name="a", description="d", data=[1, 2])])
assert not is_zarr_array([1]) and "zarr" not in sys.modules
frame = table.to_dataframe()
import pandas, zarr
assert type(frame) is pandas.DataFrame and frame["a"].tolist() == [1, 2]
again = DynamicTable.from_dataframe(frame, "t")
assert list(again["a"].data) == [1, 2]
assert list(VectorData(name="a", description="d", data=pandas.Series([3, 4])).data) == [3, 4]
assert is_zarr_array(zarr.array([1, 2])) and is_array_like(zarr.array([1, 2]))
try:
    DynamicTable.from_dataframe([1], "t")
except TypeError:
    print("refused")
"""


def test_tables_and_arrays_of_these_libraries_are_known_once_they_are_there() -> None:
    assert run(TABLE) == "refused"


def test_sparse_matrices_are_scipys() -> None:
    pytest.importorskip("scipy")
    code = """
assert "scipy" not in sys.modules
from hdmf.common import CSRMatrix
made = CSRMatrix([[0, 2], [3, 0]])
import scipy.sparse
assert made.to_spmat().toarray().tolist() == [[0, 2], [3, 0]] and isinstance(made.to_spmat(), scipy.sparse.csr_matrix)
print(CSRMatrix(scipy.sparse.csr_matrix([[1, 0]])).shape)
"""
    assert run(code) == "[1 2]"
