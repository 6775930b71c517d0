"""The rows of an Axon text file: times, and columns of samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...model.budget import ATF_CELLS
from ...model.finding import problem
from ...model.source import RawFile
from ..number_rows import BadRow, Columns, NumberRows, TooMany
from .header import Header


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows: when they were sampled, and what (column, row); `line` is that of the first."""

    times: np.ndarray
    values: np.ndarray
    line: int


class Rows(NumberRows):
    """Reads the rows of a file once, from `Header.data_start` on; of the times it learns how they were printed."""

    def __init__(self, header: Header) -> None:
        names = tuple(title.text for title in header.titles)
        super().__init__(Columns(names, header.delimiter, header.data_start, header.data_line), ATF_CELLS)
        self._key = header.key

    def read_blocks(self, file: RawFile) -> Iterator[Block]:
        """Blocks of whole rows.

        Raises
        ------
        Problem
            ``atf.damaged`` with line and column, ``atf.truncated``, ``atf.unsupported``.
        """
        try:
            for line, parsed in self.iterate_blocks(file):
                yield Block(np.ascontiguousarray(parsed[:, 0]), np.ascontiguousarray(parsed[:, 1:].T), line)
        except BadRow as bad:
            id = "atf.truncated" if bad.is_cut else "atf.damaged"
            value = {"value": bad.value} if bad.value else {}
            raise problem(id, f"{self._key} {bad}", file=self._key, line=bad.line, **value) from bad
        except TooMany as error:
            raise problem("atf.unsupported", f"{self._key}: {error}", file=self._key) from error
