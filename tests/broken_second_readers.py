"""A second reader that fails as libraries fail: by the name of the raw file."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuropress.independent import pillow_images
from neuropress.independent.reading import CannotRead, SecondImage


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondImage:
    print("noise on standard output")
    os.write(1, b"and beside Python\n")
    if path.name == "m2.tif":
        os.abort()
    if path.name == "m3.tif":
        print("the last words", file=sys.stderr, flush=True)
        os._exit(7)
    if path.name == "m4.tif":
        time.sleep(600)
    if path.name == "m5.tif":
        raise LookupError("no such thing")
    if path.name == "m6.tif":
        bytearray(1 << 40)
    if path.name == "m7.tif":
        raise CannotRead("it is too hard")
    if path.name == "m8.tif":
        sys.exit("enough")
    return pillow_images.read(path, content, options)
