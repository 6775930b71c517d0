"""Objects out of a pickle, by an allow-list: numbers, texts, bytes, tuples, lists, dicts and NumPy's arrays.

suite2p's and Cellpose's files are such pickles, and attributes that PyTables wrote for DeepLabCut.

The stream of opcodes is interpreted here. Nothing that a file names is imported or called: the few names that NumPy
writes for arrays, types and scalars are recognised as texts and done by code of this module, and any other ends the
parse. Names of times and paths, which suite2p keeps among its settings, become `Inert`: a name, and nothing in it.

`pickle.Unpickler` with a `find_class` of one's own is not used, because it still calls ``__setstate__``, ``append``
and ``extend`` of what it made, and has no bounds.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from ...model.budget import PICKLE_DEPTH, PICKLE_STACK, PICKLE_STEPS, PICKLE_TEXT
from .errors import DamagedFile, RefusedPickle
from .shells import ArrayShell, DtypeShell, make_array, make_dtype, make_scalar, set_byte_order

_NUMPY = {
    f"{package}.{module} {name}": name
    for package in ("numpy.core", "numpy._core")
    for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
}
GLOBALS: Mapping[str, str] = MappingProxyType(
    _NUMPY
    | {"numpy dtype": "dtype", "numpy ndarray": "ndarray", "_codecs encode": "encode", "__builtin__ bytes": "bytes"}
)
"""Module and name as pickles have them -> what is done for it here.

Old pickles have bytes as ``_codecs encode``, and none as ``bytes()``.
"""
INERT = frozenset(
    {"datetime datetime", "datetime timezone", "datetime timedelta"}
    | {f"{module} {name}" for module in ("pathlib", "pathlib._local") for name in
       ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")}
)  # fmt: skip
MOST_INTEGER = 256
"""Bytes of an integer."""
_DECIMAL = re.compile(rb"-?[0-9]{1,600}")


@dataclass(frozen=True, slots=True)
class Inert:
    """Something that was recognised by its name and not made: its name is all that there is."""

    name: str


@dataclass(frozen=True, slots=True)
class _Global:
    """A name of `GLOBALS`."""

    does: str


class _Mark:
    """What the opcode MARK leaves on the stack."""


_MARK = _Mark()
type _Step = Callable[["_Machine"], None]


def parse_objects(data: bytes, start: int = 0) -> Any:
    """The object of a pickle that begins at a place of some bytes and ends with them.

    Lists and dicts may hold themselves, as in any pickle: do not walk over them by recursion.

    Raises
    ------
    DamagedFile
        It is cut, or no pickle.
    RefusedPickle
        It names something that is not on the allow-list, or goes over a bound.
    """
    machine = _Machine(data, start)
    try:
        return machine.run()
    except (DamagedFile, RefusedPickle):
        raise
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error, MemoryError) as error:
        raise DamagedFile(f"its pickle is damaged at byte {machine.place} ({type(error).__name__})") from error


@dataclass(slots=True)
class _Machine:
    """The stack machine of pickles, protocols 0 to 5, with bounds on all that it does."""

    data: bytes
    place: int
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    text_room: int = field(default_factory=lambda: PICKLE_TEXT)
    depths: dict[int, int] = field(default_factory=dict)
    """Depth of each container, by its id; `alive` keeps ids from being used again."""
    alive: list[Any] = field(default_factory=list)

    def run(self) -> Any:
        for _ in range(PICKLE_STEPS):
            code = self.take(1)[0]
            if code == _STOP:
                (value,) = self.stack
                if self.place != len(self.data):
                    raise DamagedFile(f"{len(self.data) - self.place} bytes follow the end of its pickle")
                return value
            step = _STEPS.get(code)
            if step is None:
                raise RefusedPickle(f"its pickle has the opcode {bytes([code])!r} at byte {self.place - 1}")
            step(self)
            if len(self.stack) > PICKLE_STACK:
                raise RefusedPickle(f"its pickle has more than {PICKLE_STACK} objects waiting on its stack")
        raise RefusedPickle(f"its pickle takes more than {PICKLE_STEPS} steps")

    def take(self, count: int) -> bytes:
        part = self.data[self.place : self.place + count]
        if len(part) < count:
            raise DamagedFile(f"its pickle is cut: {count} bytes are missing at byte {self.place}")
        self.place += count
        return part

    def take_number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def take_line(self, most: int = 200) -> bytes:
        end = self.data.find(b"\n", self.place, self.place + most)
        if end < 0:
            raise DamagedFile(f"its pickle has a line without an end at byte {self.place}")
        return self.take(end - self.place + 1)[:-1]

    def take_decimal(self) -> int:
        """A whole number on a line, as protocol 0 has them."""
        line = self.take_line(3 * MOST_INTEGER).removesuffix(b"L")
        if not _DECIMAL.fullmatch(line):
            raise DamagedFile(f"its pickle has {line[:20]!r} for a whole number")
        return int(line)

    def push_text(self, text: bytes, encoding: str, errors: str = "strict") -> None:
        self.text_room -= len(text)
        if self.text_room < 0:
            raise RefusedPickle(f"its pickle has more than {PICKLE_TEXT} bytes of text")
        self.push(text.decode(encoding, errors))

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise DamagedFile(f"its pickle takes a mark for an object at byte {self.place}")
        return value

    def pop_marked(self) -> list[Any]:
        """Everything above the last mark."""
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] is _MARK:
                found = self.stack[position + 1 :]
                del self.stack[position:]
                return found
        raise DamagedFile(f"its pickle has no mark at byte {self.place}")

    def hold(self, container: Any, parts: list[Any]) -> Any:
        """Note how deep a container is by now, of which `parts` became members."""
        below = max((self.depths.get(id(part), 0) for part in parts), default=0)
        known = self.depths.get(id(container))
        if known is None:
            self.alive.append(container)
        depth = max(known or 1, below + 1)
        if depth > PICKLE_DEPTH:
            raise RefusedPickle(f"its pickle is nested deeper than {PICKLE_DEPTH} levels")
        self.depths[id(container)] = depth
        return container

    def replace(self, shell: ArrayShell | DtypeShell, made: Any) -> None:
        """Put what a shell became in its place, on the stack and in the memo."""
        self.push(made)
        for slot in shell.slots:
            self.memo[slot] = made


def _push_number(layout: str) -> _Step:
    return lambda machine: machine.push(machine.take_number(layout))


def _push_constant(value: Any) -> _Step:
    return lambda machine: machine.push(value)


def _push_integer(layout: str) -> _Step:
    def step(machine: _Machine) -> None:
        count = machine.take_number(layout)
        if not 0 <= count <= MOST_INTEGER:
            raise RefusedPickle(f"its pickle has an integer of {count} bytes, more than {MOST_INTEGER}")
        machine.push(int.from_bytes(machine.take(count), "little", signed=True))

    return step


def _push_text(layout: str) -> _Step:
    def step(machine: _Machine) -> None:
        machine.push_text(machine.take(machine.take_number(layout)), "utf-8", "surrogatepass")

    return step


def _push_line(machine: _Machine) -> None:
    machine.push_text(machine.take_line(PICKLE_TEXT), "raw-unicode-escape")


def _push_decimal(machine: _Machine) -> None:
    truth = {b"00\n": False, b"01\n": True}.get(machine.data[machine.place : machine.place + 3])
    number = machine.take_decimal()
    machine.push(number if truth is None else truth)


def _push_bytes(layout: str) -> _Step:
    def step(machine: _Machine) -> None:
        count = machine.take_number(layout)
        if count < 0:
            raise DamagedFile(f"its pickle has bytes of a negative length at byte {machine.place}")
        machine.push(machine.take(count))

    return step


def _push_tuple(count: int) -> _Step:
    def step(machine: _Machine) -> None:
        parts = [machine.pop() for _ in range(count)][::-1]
        machine.push(machine.hold(tuple(parts), parts))

    return step


def _push_marked_tuple(machine: _Machine) -> None:
    parts = machine.pop_marked()
    machine.push(machine.hold(tuple(parts), parts))


def _push_marked_list(machine: _Machine) -> None:
    parts = machine.pop_marked()
    machine.push(machine.hold(parts, parts))


def _push_marked_dict(machine: _Machine) -> None:
    parts = machine.pop_marked()
    made: dict[Any, Any] = {}
    _set_items(machine, made, parts)
    machine.push(made)


def _append(machine: _Machine) -> None:
    part = machine.pop()
    _extend(machine, [part])


def _append_marked(machine: _Machine) -> None:
    _extend(machine, machine.pop_marked())


def _extend(machine: _Machine, parts: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not list:
        raise DamagedFile(f"its pickle appends to what is no list at byte {machine.place}")
    target.extend(parts)
    machine.hold(target, parts)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine, machine.stack[-1], [key, value])


def _set_marked_items(machine: _Machine) -> None:
    parts = machine.pop_marked()
    _set_items(machine, machine.stack[-1], parts)


def _set_items(machine: _Machine, target: Any, parts: list[Any]) -> None:
    if type(target) is not dict or len(parts) % 2:
        raise DamagedFile(f"its pickle sets items of what is no dict at byte {machine.place}")
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        # Other keys would be hashed member by member, by recursion.
        if type(key) not in (str, bytes, int, float, bool):
            raise RefusedPickle(f"its pickle has a dict with a key that is a {type(key).__name__.strip('_')}")
        target[key] = value
    machine.hold(target, parts[1::2])


def _memoize(machine: _Machine, slot: int) -> None:
    value = machine.stack[-1]
    machine.memo[slot] = value
    if isinstance(value, (ArrayShell, DtypeShell)):
        value.slots.append(slot)


def _put(layout: str) -> _Step:
    return lambda machine: _memoize(machine, machine.take_number(layout))


def _get(layout: str) -> _Step:
    return lambda machine: machine.push(machine.memo[machine.take_number(layout)])


def _push_global(machine: _Machine) -> None:
    module, name = (machine.take_line().decode("utf-8", "replace") for _ in range(2))
    _find_global(machine, module, name)


def _push_stack_global(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if type(name) is not str or type(module) is not str:
        raise DamagedFile(f"its pickle has a name that is no text at byte {machine.place}")
    _find_global(machine, module, name)


def _find_global(machine: _Machine, module: str, name: str) -> None:
    wanted = f"{module} {name}"
    if wanted in GLOBALS:
        machine.push(_Global(GLOBALS[wanted]))
    elif wanted in INERT:
        machine.push(Inert(f"{module}.{name}"))
    else:
        raise RefusedPickle(f"its pickle names {f'{module}.{name}'[:200]!r}, which is not on the allow-list")


def _reduce(machine: _Machine) -> None:
    """What a pickle would call, done here for the names of the allow-list."""
    arguments, function = machine.pop(), machine.pop()
    if type(arguments) is not tuple:
        raise DamagedFile(f"its pickle calls with what is no tuple at byte {machine.place}")
    if isinstance(function, Inert):
        machine.push(function)
    elif isinstance(function, _Global) and function.does in _CALLS:
        machine.push(_CALLS[function.does](arguments))
    else:
        raise RefusedPickle(f"its pickle calls {_describe(function)} at byte {machine.place}")


def _call_reconstruct(arguments: tuple[Any, ...]) -> ArrayShell:
    kind = arguments[0] if arguments else None
    if len(arguments) != 3 or not (isinstance(kind, _Global) and kind.does == "ndarray"):
        raise RefusedPickle(f"its pickle makes an array of {_describe(kind)}, not of numpy.ndarray")
    return ArrayShell()


def _call_frombuffer(arguments: tuple[Any, ...]) -> np.ndarray:
    """Numbers as protocol 5 has them: ``(bytes, dtype, shape, order)``."""
    data, dtype, shape, order = arguments
    if not isinstance(dtype, np.dtype) or dtype.kind == "O":
        raise RefusedPickle("its pickle has an array that is of no numbers and no texts")
    return make_array((1, shape, dtype, order == "F", data))


def _call_encode(arguments: tuple[Any, ...]) -> bytes:
    text, *encoding = arguments
    if type(text) is not str or encoding not in (["latin1"], ["latin-1"]):
        raise RefusedPickle("its pickle encodes by _codecs.encode what is no text, or not as latin1")
    return text.encode("latin-1")


def _call_bytes(arguments: tuple[Any, ...]) -> bytes:
    if arguments:
        raise RefusedPickle("its pickle calls bytes with arguments")
    return b""


_CALLS: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
    "_reconstruct": _call_reconstruct,
    "dtype": make_dtype,
    "scalar": make_scalar,
    "encode": _call_encode,
    "_frombuffer": _call_frombuffer,
    "bytes": _call_bytes,
}


def _build(machine: _Machine) -> None:
    """The state of an array or of a type; nothing else has one."""
    state, target = machine.pop(), machine.pop()
    if isinstance(target, Inert):
        machine.push(target)
        return
    if not isinstance(target, (ArrayShell, DtypeShell)):
        raise RefusedPickle(f"its pickle sets the state of {_describe(target)} at byte {machine.place}")
    if type(state) is not tuple:
        raise DamagedFile(f"its pickle has a state that is no tuple at byte {machine.place}")
    if isinstance(target, DtypeShell):
        machine.replace(target, set_byte_order(target, state))
        return
    made = make_array(state)
    elements = list(made.flat) if made.dtype.kind == "O" else []
    machine.replace(target, machine.hold(made, elements))


def _describe(value: Any) -> str:
    if isinstance(value, _Global):
        return f"numpy's {value.does}"
    return f"{value.name}" if isinstance(value, Inert) else f"a {type(value).__name__.strip('_')}"


def _skip_frame(machine: _Machine) -> None:
    length = machine.take_number("<Q")
    if length > len(machine.data) - machine.place:
        raise DamagedFile(f"its pickle is cut: a frame of {length} bytes begins at byte {machine.place}")


def _check_protocol(machine: _Machine) -> None:
    if (protocol := machine.take(1)[0]) > 5:
        raise RefusedPickle(f"its pickle is of protocol {protocol}; 0 to 5 are read")


_STOP = ord(".")
_STEPS: Mapping[int, _Step] = {
    code[0]: step
    for code, step in {
        b"\x80": _check_protocol,
        b"\x95": _skip_frame,
        b"(": lambda machine: machine.push(_MARK),
        b"0": lambda machine: machine.stack.pop() and None,
        b"1": lambda machine: machine.pop_marked() and None,
        b"N": _push_constant(None),
        b"\x88": _push_constant(True),
        b"\x89": _push_constant(False),
        b"V": _push_line,
        b"I": _push_decimal,
        b"L": lambda machine: machine.push(machine.take_decimal()),
        b"J": _push_number("<i"),
        b"K": _push_number("<B"),
        b"M": _push_number("<H"),
        b"G": _push_number(">d"),
        b"\x8a": _push_integer("<B"),
        b"\x8b": _push_integer("<i"),
        b"X": _push_text("<I"),
        b"\x8c": _push_text("<B"),
        b"\x8d": _push_text("<Q"),
        b"B": _push_bytes("<I"),
        b"C": _push_bytes("<B"),
        b"\x8e": _push_bytes("<Q"),
        b"\x96": _push_bytes("<Q"),
        b"T": _push_bytes("<i"),  # of Python 2, which had one type for bytes and texts
        b"U": _push_bytes("<B"),
        b")": _push_tuple(0),
        b"\x85": _push_tuple(1),
        b"\x86": _push_tuple(2),
        b"\x87": _push_tuple(3),
        b"t": _push_marked_tuple,
        b"]": lambda machine: machine.push(machine.hold([], [])),
        b"l": _push_marked_list,
        b"a": _append,
        b"e": _append_marked,
        b"}": lambda machine: machine.push(machine.hold({}, [])),
        b"d": _push_marked_dict,
        b"s": _set_item,
        b"u": _set_marked_items,
        b"p": lambda machine: _memoize(machine, machine.take_decimal()),
        b"g": lambda machine: machine.push(machine.memo[machine.take_decimal()]),
        b"q": _put("<B"),
        b"r": _put("<I"),
        b"\x94": lambda machine: _memoize(machine, len(machine.memo)),
        b"h": _get("<B"),
        b"j": _get("<I"),
        b"c": _push_global,
        b"\x93": _push_stack_global,
        b"R": _reduce,
        b"b": _build,
    }.items()
}


def list_elements(value: Any) -> list[Any]:
    """Elements of an array of objects, as they lie in it. Raises `DamagedFile` for anything else."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "O" or math.prod(value.shape) != value.size:
        raise DamagedFile("its pickle holds no array of objects")
    return list(value.ravel())
