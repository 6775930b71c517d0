"""What a receipt may say of an array: `verify` goes by it."""

from __future__ import annotations

import pytest

from neuropress.model.budget import EXTENT
from neuropress.model.plan import ArraySpec, IndexMap
from neuropress.model.receipt import ArrayReceipt, check_array

SPEC = ArraySpec("lab/a.tif", "", "pixels", "tiff", (40, 50), "<u2", IndexMap.whole((40, 50)))


def test_blocks_of_an_array_are_taken() -> None:
    for block in ((40, 50), (10, 50), (1000, 1000)):
        check_array("data", ArrayReceipt(SPEC, block, "0" * 64))


@pytest.mark.parametrize("block", [(), (40,), (40, 50, 1), (0, 50), (40, 0), (-1, 50), (40, EXTENT + 1)])
def test_blocks_that_no_array_has_are_refused(block: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no block of an array"):
        check_array("data", ArrayReceipt(SPEC, block, "0" * 64))
