"""The child process in which one library reads: ``python -m neuropress.independent.worker``.

A request comes on standard input as one line of JSON; for each raw object, in its order, a line of JSON goes out when
it is done, so that whoever waits knows at which one the library failed. Whatever the library prints goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..model.finding import Problem
from ..model.serial import from_json, to_json
from ..results import ArrayMeaning, detect_kind
from ..storage.remote import BucketPath, ResultPath
from . import SecondReader, SecondReading, Verdict
from .compare_arrays import compare_arrays
from .compare_image import compare_image
from .compare_recording import compare_recording
from .reading import CannotRead, SecondArrays, SecondRecording
from .tally import ResultArray, Tally

SHOWN = 300
NO_MEANING = ArrayMeaning(())
"""Of arrays beside the samples: times, columns, masks."""


def main() -> None:
    """Answer one request."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    request = json.loads(sys.stdin.readline())
    _limit_memory(int(request["memory"]))
    reader = from_json(SecondReader, request["reader"])
    place = request["result"]
    result = BucketPath.from_json(place) if isinstance(place, list) else Path(place)
    places = {key: Path(place) for key, place in request["sources"].items()}
    for reading in read_objects(reader, result, places):
        print(json.dumps(to_json(reading)), file=answers, flush=True)


def read_objects(reader: SecondReader, result: ResultPath, places: Mapping[str, Path]) -> Iterator[SecondReading]:
    """What one library makes of raw objects, in their order, compared with what the result has of them."""
    module = detect_kind(result).load()
    listed = module.read_provenance(result).receipt.arrays
    meanings = module.describe_arrays(result, listed)
    with module.open_arrays(result) as stored:
        for key, place in places.items():
            arrays = [
                ResultArray(path, receipt, stored[path], meanings.get(path, NO_MEANING))
                for path, receipt in listed.items()
                if receipt.spec.source == key and path in stored
            ]
            yield _read_object(reader, key, place, arrays)


def _limit_memory(nbytes: int) -> None:
    with suppress(ImportError, ValueError, OSError):  # no such limits on Windows; a lower one may be set already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (nbytes, nbytes))


def _read_object(reader: SecondReader, key: str, path: Path, arrays: Sequence[ResultArray]) -> SecondReading:
    """Every image or recording of a raw object that the result has; the worst of their verdicts."""
    tallies: list[Tally] = []
    try:
        for content, group in _group_by_content(arrays).items():
            spec = group[0].receipt.spec
            options = {name: value for name, value in spec.options.items() if name not in ("image", "reader")}
            second = reader.load().read(path, content, options)
            if isinstance(second, SecondArrays):
                tallies.append(compare_arrays(second, group))
                continue
            described = [array for array in group if array.meaning.axes]
            if described:
                compare: Any = compare_recording if isinstance(second, SecondRecording) else compare_image
                tallies.append(compare(second, described))
    except CannotRead as reason:
        return SecondReading(key, reader.name, reader.version, "cannot read", reasons=(str(reason),))
    except Problem as bad:
        return SecondReading(key, reader.name, reader.version, "cannot read", reasons=(bad.finding.message,))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anything may happen in code of others
        reason_text = f"{type(error).__name__}: {str(error)[:SHOWN]}"
        return SecondReading(key, reader.name, reader.version, "cannot read", reasons=(reason_text,))
    return _sum_up(reader, key, tallies)


def _group_by_content(arrays: Sequence[ResultArray]) -> Mapping[str, list[ResultArray]]:
    groups: dict[str, list[ResultArray]] = {}
    for array in arrays:
        groups.setdefault(array.receipt.spec.content, []).append(array)
    return groups


def _sum_up(reader: SecondReader, key: str, tallies: Sequence[Tally]) -> SecondReading:
    verdicts = [tally.verdict for tally in tallies]
    order: tuple[Verdict, ...] = ("differs", "cannot read", "library wrong", "agrees")
    verdict: Verdict = next((v for v in order if v in verdicts), "cannot read")
    agreed = set.intersection(*(set(tally.list_agreed()) for tally in tallies)) if tallies else set()
    reasons = tuple(dict.fromkeys(reason for tally in tallies for reason in tally.list_reasons()))
    if not tallies:
        reasons = ("nothing that the result has of it is compared",)
    return SecondReading(key, reader.name, reader.version, verdict, tuple(sorted(agreed)), reasons)


if __name__ == "__main__":
    main()
