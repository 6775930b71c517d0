"""Names in pickled attributes, without unpickling: texts, numbers, tuples and lists of pickle protocol 0, nothing else.

PyTables keeps what is no number as ``pickle.dumps(value, 0)``. Unpickling calls whatever the bytes name; here an
operation that could name anything ends the parse.
"""

from __future__ import annotations

import re
from typing import Any

MAX_BYTES = 16 * 2**20
"""Of one attribute: 1,000 tracked points have a tenth of a megabyte."""
MAX_DEPTH = 8
_NUMBER = re.compile(rb"-?[0-9]{1,18}L?")
_MEMO = re.compile(rb"[0-9]{1,9}")


class NotPlain(ValueError):
    """A pickle that holds something else, or is damaged; the text says what."""


class _Mark:
    """Where the elements of a tuple or a list begin on the stack."""


_MARK = _Mark()


def parse_pickled_names(data: bytes) -> Any:
    """Nested lists and tuples of texts, whole numbers and None.

    Raises
    ------
    NotPlain
        It is no pickle of protocol 0, is cut, or holds anything else.
    """
    if len(data) > MAX_BYTES:
        raise NotPlain(f"it has more than {MAX_BYTES} bytes")
    stack: list[Any] = []
    memo: dict[bytes, Any] = {}
    place = 0
    try:
        while place < len(data):
            code = data[place : place + 1]
            place += 1
            argument = b""
            if code in b"VILpg":
                end = data.index(b"\n", place)
                argument, place = data[place:end], end + 1
            if code == b".":
                (value,) = stack
                return _check_depth(value)
            _apply(code, argument, stack, memo)
    except NotPlain:
        raise
    except (ValueError, IndexError, KeyError, AttributeError) as error:
        raise NotPlain(f"it is damaged before byte {place}") from error
    raise NotPlain("it is cut")


def _apply(code: bytes, argument: bytes, stack: list[Any], memo: dict[bytes, Any]) -> None:
    """One operation on the stack."""
    match code:
        case b"(":
            stack.append(_MARK)
        case b"V":
            stack.append(argument.decode("raw-unicode-escape"))
        case b"I" | b"L":
            if not _NUMBER.fullmatch(argument):
                raise NotPlain(f"{argument[:20]!r} is no whole number")
            stack.append(int(argument.removesuffix(b"L")))
        case b"N":
            stack.append(None)
        case b"t" | b"l":
            at = len(stack) - 1 - stack[::-1].index(_MARK)
            made = stack[at + 1 :]
            stack[at:] = [tuple(made) if code == b"t" else made]
        case b"a":
            value = stack.pop()
            if not isinstance(stack[-1], list) or isinstance(value, _Mark):
                raise NotPlain("something is appended to what is no list")
            stack[-1].append(value)
        case b"p":
            if not _MEMO.fullmatch(argument) or isinstance(stack[-1], _Mark):
                raise NotPlain("a number of its memo is none")
            memo[argument] = stack[-1]
        case b"g":
            stack.append(memo[argument])
        case _:
            raise NotPlain(f"its operation {code!r} makes something other than texts, numbers, tuples and lists")


def _check_depth(value: Any) -> Any:
    """The value; a list in itself, and one of lists that share lists, would never end for those who walk it."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for one in level if isinstance(one, (list, tuple)) for part in one]
        if len(level) > MAX_BYTES:
            break
        if not level:
            return value
    raise NotPlain("its lists are nested too deep")
