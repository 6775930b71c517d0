"""What the readers of NumPy's files share: headers, blocks of arrays, and objects of an allow-list out of pickles."""

MAGIC = b"\x93NUMPY"
"""How every NPY file begins."""
