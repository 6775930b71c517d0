"""Runs inside neuroconv's environment, or beside a stub of it: a session's objects into files. ``script REQUEST.json``."""

import importlib.util
import json
import sys
import warnings
from datetime import datetime
from pathlib import Path
from unittest.mock import MagicMock

import pynwb

request = json.loads(Path(sys.argv[1]).read_text("utf-8"))
spec = importlib.util.spec_from_file_location("neuropress_session", request["module"])
session = importlib.util.module_from_spec(spec)
spec.loader.exec_module(session)
given = {name: request[name] for name in ("folder_path", "session", "command")}


def write_alone(path, change=lambda file: None, **fields):
    """Into a file of the session's own metadata, without neuroconv; `change` finds what stands there before."""
    interface = session.NeuropressSessionInterface(**given)
    stated = {**interface.get_metadata()["NWBFile"], **fields}
    stated["session_start_time"] = datetime.fromisoformat(stated["session_start_time"])
    file = pynwb.NWBFile(**stated)
    change(file)
    interface.add_to_nwbfile(file)
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)


def say(function, *arguments, **fields):
    """What a refusal says."""
    try:
        function(*arguments, **fields)
    except session.NeuropressError as error:
        return str(error)
    return ""


def run_pipe(path):
    """Beside one of neuroconv's own, alone, and by a specification."""
    from neuroconv import ConverterPipe
    from neuroconv.datainterfaces import CsvTimeIntervalsInterface

    interface = session.NeuropressSessionInterface(**given)
    interface.run_conversion(nwbfile_path=f"{path}.alone.nwb")
    trials = CsvTimeIntervalsInterface(file_path=request["trials"])
    ConverterPipe({"Session": interface, "Trials": trials}).run_conversion(nwbfile_path=f"{path}.first.nwb")
    ConverterPipe({"Trials": trials, "Session": interface}).run_conversion(nwbfile_path=path)
    # neuroconv asks dandi for names of files that have none, and imports it for that; ours have names.
    for name in ("dandi", "dandi.organize", "dandi.pynwb_utils"):
        sys.modules.setdefault(name, MagicMock())
    from neuroconv import run_conversion_from_yaml

    session.register()
    sources = {"Trials": {"file_path": request["trials"]}, "Session": given}
    specification = {
        "data_interfaces": {"Trials": "CsvTimeIntervalsInterface", "Session": "NeuropressSessionInterface"},
        "experiments": {"patch": {"sessions": [{"nwbfile_name": "specified", "source_data": sources}]}},
    }
    Path(path).with_name("specification.yml").write_text(json.dumps(specification), "utf-8")
    run_conversion_from_yaml(Path(path).with_name("specification.yml"))


def share_names(file):
    """A module, a device and a column of objects that the session has, too."""
    file.create_device("probe", description="Another probe.")
    module = file.create_processing_module("ophys", "Of another movie.")
    module.add(pynwb.ophys.Fluorescence())


def make_file(description, **subject):
    start = datetime.fromisoformat("2025-06-20T10:00:00-04:00")
    subject = pynwb.file.Subject(**subject)
    return pynwb.NWBFile(description, "x", start, experimenter=["A"] if description else None, subject=subject)


def fill_in():
    """What a file has after ours, of which another interface stated a part."""
    target = make_file("", subject_id="M1", sex="F")
    source = make_file(
        "Ours.", subject_id="M1", sex="M", species="Mus musculus", age="P9D", age__reference="gestational"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session.state_session(source, target)
    subject = target.subject
    stated = [subject.sex, subject.species, subject.age, subject.age__reference]
    return [target.session_description, *target.experimenter, *stated, *(str(one.message) for one in caught)]


answer = {"neuropress": sorted(name for name in sys.modules if name.partition(".")[0] == "neuropress")}
if request.get("trials"):
    run_pipe(request["out"])
else:
    write_alone(
        request["out"],
        lambda file: file.create_processing_module("ophys", "Of another movie.").add(
            pynwb.TimeSeries(name="speed", data=[1.0, 2.0], unit="m/s", rate=1.0)
        ),
    )
    answer["clashes"] = say(write_alone, request["out"] + ".not", share_names)
    answer["start"] = say(write_alone, request["out"] + ".not", session_start_time="2025-06-20T10:00:01-04:00")
    answer["subjects"] = say(session.compare_subjects, make_file("", subject_id="M1"), make_file("", subject_id="M2"))
    answer["filled"] = fill_in()
    answer["missing"] = say(session.convert_session, Path("ds"), "S", "/nowhere/neuropress", None)
    answer["refused"] = say(session.convert_session, Path("ds"), "NOPE", given["command"], None)
    answer["several"] = say(session.convert_session, Path("ds"), given["session"], given["command"], "b.nwb")
answer["invalid"] = [str(error) for error in pynwb.validate(path=request["out"])]
print(json.dumps(answer))
