"""The ABF reader against real files, with neo and pyabf as independent witnesses, and against hostile bytes."""

import json
import shutil
import warnings
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyabf
import pytest
from abf_files import (  # noqa: F401 (fixtures)
    COUNT,
    QUIET,
    close_all,
    expect_refusal,
    make_epoch,
    open_abf,
    read_whole,
    write_abf2,
    write_steps_file,
)
from neo.rawio import AxonRawIO
from pyabf.abfWriter import writeABF1

from neuropress.model.content import Recording
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.abf import FORMAT
from neuropress.readers.abf import read as abf
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

FOLDER = "abf/swharden__pyABF"

# file: version, mode, rate, sweeps, samples a sweep, units, commands that were played, header's clock, protocol
FACTS = {
    "05210017_vc_abf1.abf": ("1.83", "episodic", "20000", 6, 60000, ["pA", "pA"], ["mV"], "2005-02-10T15:52:55.328000", "Apply ACh with imaging (VC) 2 (no movies)"),
    "130618-1-12.abf": ("1.3", "episodic", "50000", 3, 50000, ["pA"], [], None, ""),
    "16d22006_kim_gapfree.abf": ("2.0", "gap-free", "10000", 1, 483000, ["dB", "mV"], ["mV"], "2016-12-22T14:39:47.945000", "mapping"),
    "171116sh_0011.abf": ("2.6", "episodic", "20000", 20, 10000, ["pA"], ["mV"], "2017-11-16T14:04:45.776000", "0201 memtest"),
    "171116sh_0013.abf": ("2.6", "episodic", "20000", 13, 20000, ["pA"], ["mV"], "2017-11-16T14:05:47.248000", "0203 IV fast"),
    "171116sh_0014.abf": ("2.6", "episodic", "20000", 50, 2400, ["pA"], ["mV"], "2017-11-16T14:06:07.741000", "0204 Cm ramp"),
    "171116sh_0015-ATFwaveform.abf": ("2.6", "episodic", "10000", 3, 100000, ["pA"], ["mV"], "2017-11-16T14:06:28.730000", "0221 VC sine sweep 70 +- 5 mV"),
    "171116sh_0016.abf": ("2.6", "episodic", "20000", 11, 20000, ["mV"], ["pA"], "2017-11-16T14:07:11.016000", "0111 continuous ramp"),
    "17o05028_ic_steps.abf": ("2.6", "episodic", "20000", 16, 60000, ["mV"], ["pA"], "2017-10-05T14:42:46.899000", "0112 steps dual -50 to 150 step 10"),
    "180415_aaron_temp.abf": ("2.3", "episodic", "100000", 1, 100000, ["V", "deg C"], [], "2018-03-13T14:45:56.159000", "PacemakerTempTest"),
    "18702001-pulseTrain.abf": ("2.6", "episodic", "20000", 3, 20000, ["pA", "A"], ["mV", "mV"], "2018-07-02T09:29:47.630000", "0201 memtest"),
    "18702001-ramp.abf": ("2.6", "episodic", "20000", 3, 20000, ["pA", "A"], ["mV", "mV"], "2018-07-02T09:29:21.735000", "0201 memtest"),
    "2018_11_16_sh_0006.abf": ("2.6", "episodic", "20000", 60, 2000, ["pA"], ["mV"], "2018-11-16T16:57:14.512000", "0201 memtest"),
    "2018_12_09_pCLAMP11_0001.abf": ("2.9", "episodic", "10000", 10, 2000, ["A"], ["mV"], "2018-12-09T01:31:38.437000", "(untitled)"),
    "DM1_0000.abf": ("2.9", "episodic", "20000", 7, 21000, ["pA", "mmHg"], ["mV", "mmHg"], "2019-07-25T15:33:49.910000", "10mmHg_pressure_holding-80mV"),
    "File_axon_2.abf": ("1.83", "gap-free", "1000", 1, 1200000, ["mV"], [], "2005-06-11T14:15:00.712000", "Cc_minidigi"),
    "File_axon_3.abf": ("1.83", "episodic", "20000", 5, 20644, ["V", "mV"], ["nA"], "2005-06-11T14:15:28.552000", "Cc_stim ONL"),
    "pclamp11_4ch.abf": ("2.9", "episodic", "20000", 10, 4000, ["pA"] * 4, ["mV"] * 4, "2018-12-14T20:36:12.308000", "(untitled)"),
}  # fmt: skip


def open_with_pyabf(path: Path) -> "pyabf.ABF":
    with warnings.catch_warnings():  # it warns of command files, and of its own resource handling
        warnings.simplefilter("ignore")
        return pyabf.ABF(str(path))


# --- real files ---------------------------------------------------------------------------------------------------


@pytest.mark.corpus
@pytest.mark.parametrize("name", FACTS)
def test_header_facts(corpus: Path, name: str) -> None:
    r = open_abf(corpus / FOLDER / name)
    version, mode, rate, sweeps, length, units, driven, started, protocol = FACTS[name]
    assert r.header["version"] == version
    assert (r.mode, r.facts["sampling_rate"], r.rate) == (mode, rate, Decimal(rate))
    assert len(r.sweeps) == sweeps
    assert {s.length for s in r.sweeps} == {length}
    assert [c.unit for c in r.adc] == units
    assert [c.unit for c in r.dac if c.driven] == driven
    assert (r.started.isoformat() if r.started else None) == started
    assert r.protocol == protocol
    json.dumps(r.header, allow_nan=False)


@pytest.mark.corpus
@pytest.mark.parametrize("name", FACTS)
def test_samples_and_scale_equal_neo(corpus: Path, name: str) -> None:
    path = corpus / FOLDER / name
    r = open_abf(path)
    neo = AxonRawIO(str(path))
    neo.parse_header()
    stored = [np.asarray(neo.get_analogsignal_chunk(0, i, stream_index=0)) for i in range(neo.header["nb_segment"][0])]
    if name == "130618-1-12.abf":  # no table of sweeps: neo gives one segment
        stored = list(stored[0].reshape(3, -1, 1))
    for sweep, expected in zip(r.sweeps, stored, strict=True):
        for c in r.adc:
            assert np.array_equal(read_whole(r, sweep.responses[c.index]), expected[:, c.index])
    for c, other in zip(r.adc, neo.header["signal_channels"], strict=True):
        assert float(c.gain) == pytest.approx(other["gain"], rel=1e-14)
        assert float(c.offset) == pytest.approx(other["offset"], abs=1e-14)
        assert c.dtype == np.dtype("i2")
    r.close()


@pytest.mark.corpus
@pytest.mark.parametrize("name", FACTS)
def test_commands_equal_pyabf_where_it_is_right(corpus: Path, name: str) -> None:
    r = open_abf(corpus / FOLDER / name)
    other = open_with_pyabf(corpus / FOLDER / name)
    for sweep in r.sweeps:
        for stimulus in sweep.stimuli:
            if stimulus.how == "epoch table":
                other.setSweep(sweep.index, stimulus.dac)
                np.testing.assert_allclose(read_whole(r, stimulus.array), other.sweepC, rtol=0, atol=1e-12)


@pytest.mark.corpus
def test_command_file_is_scaled_and_shifted_and_counts_as_input(corpus: Path) -> None:
    source = Source("171116sh_0015-ATFwaveform.abf", Folder(corpus / FOLDER))
    (r,) = abf.read(source, {})
    command = read_whole(r, "sweep002/dac0")
    assert (command.min(), command.max(), command[0]) == (-75.0, -65.0, -70.0)
    assert r.sweeps[0].stimuli[0].how == "file sine sweep magnitude 20.atf"
    assert [i.key for i in source.inputs] == ["171116sh_0015-ATFwaveform.abf", "sine sweep magnitude 20.atf"]


@pytest.mark.corpus
def test_command_file_elsewhere_is_not_guessed(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(corpus / FOLDER / "171116sh_0015-ATFwaveform.abf", tmp_path / "a.abf")
    monkeypatch.chdir(corpus / FOLDER)  # pyabf would look here
    r = open_abf(tmp_path / "a.abf")
    assert not any(s.stimuli for s in r.sweeps)
    assert r.warnings == (
        "the command of DAC 0 is left out: its command file sine sweep magnitude 20.atf does not lie beside the recording",
    )


@pytest.mark.corpus
def test_the_pulse_train_is_on_the_second_dac(corpus: Path) -> None:
    r = open_abf(corpus / FOLDER / "18702001-pulseTrain.abf")
    assert [s.dac for s in r.sweeps[0].stimuli] == [0, 1]
    first, second = read_whole(r, "sweep000/dac0"), read_whole(r, "sweep000/dac1")
    assert (first.min(), first.max()) == (-80, -70)
    assert np.count_nonzero(np.diff(second)) > 10
    assert np.ptp(second[: 20000 // 64]) == 0


@pytest.mark.corpus
def test_gaps_between_sweeps_are_kept(corpus: Path) -> None:
    r = open_abf(corpus / FOLDER / "2018_11_16_sh_0006.abf")
    assert [s.start for s in r.sweeps] == [5 * i for i in range(60)]
    assert r.sweeps[0].length / r.rate == Decimal("0.1")
    (tag,) = r.tags
    assert (tag.time, tag.text, tag.kind) == (Decimal("180.3776"), "+drug at 3min", "comment")


@pytest.mark.corpus
def test_tags_keep_paths_accents_and_equal_times(corpus: Path) -> None:
    tags = open_abf(corpus / FOLDER / "File_axon_2.abf").tags
    assert [(str(t.time), t.text, t.kind) for t in tags] == [
        ("26.765", "Clampex start acquisition", "comment"),
        ("426.701", "C:\\Axon\\r\u00e9sultats\\06-05\\11-06-05\\05611005.abf", "new file"),
        ("426.701", "Clampex end (1)", "comment"),
        ("625.373", "Clampex start acquisition", "comment"),
    ]


@pytest.mark.corpus
def test_a_date_that_cannot_be_known_is_none(corpus: Path) -> None:
    r = open_abf(corpus / FOLDER / "130618-1-12.abf")
    assert r.started is None
    assert "the header's date 180618 with 63267000 ms of the day is no plausible date; left out" in r.warnings
    assert not any(s.stimuli for s in r.sweeps)


@pytest.mark.corpus
def test_instruments_and_telegraph(corpus: Path) -> None:
    r = open_abf(corpus / FOLDER / "171116sh_0016.abf")
    assert (r.facts["amplifier"], r.facts["digitizer"]) == ("MultiClamp 700", "Digidata 1440")
    assert (r.adc[0].clamp, r.adc[0].terminal, r.dac[0].holding) == ("current clamp", 0, Decimal("0.0"))


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["171116sh_0013.abf", "File_axon_3.abf"])
def test_a_real_file_cut_anywhere_is_refused(corpus: Path, tmp_path: Path, name: str) -> None:
    data = (corpus / FOLDER / name).read_bytes()
    end = len(data) - 4096
    for size in range(0, end, end // 20):
        (tmp_path / "cut.abf").write_bytes(data[:size])
        id = expect_refusal(tmp_path / "cut.abf").finding.id
        assert id == ("file.empty" if size == 0 else "abf.truncated")


# --- files of our own making --------------------------------------------------------------------------------------


def test_probe_goes_by_the_signature() -> None:
    assert FORMAT.claim(b"ABF2....", "x.dat") is not None
    assert FORMAT.claim(b"ABF ....", "x.dat") is not None
    assert FORMAT.claim(b"ATF\t1.0", "x.abf") is None


def test_own_file_reads_as_written_and_as_others_read_it(steps: Path) -> None:
    r = open_abf(steps)
    assert choose_format(Source(steps.name, Folder(steps.parent))).format == "abf"
    assert [s.start for s in r.sweeps] == [Decimal(0), Decimal("0.2")]
    assert read_whole(r, "sweep001/adc1").tolist() == [-i for i in range(1, 2 * COUNT, 2)]
    assert r.arrays["sweep001/adc0"].read((slice(10, 13),)).tolist() == [-20, -22, -24]
    assert [c.unit for c in r.adc] == ["pA", "\u00b5V"]
    assert r.adc[0].gain == Decimal(repr(10 / float(np.float32(0.01)) / 32768))
    assert r.started == datetime.fromisoformat("2025-06-20T14:30:00.500000")
    assert (r.protocol, r.tags[0].time, r.tags[0].text) == ("steps", Decimal(1), "drug on")
    command = read_whole(r, "sweep001/dac1")
    assert command[:10].tolist() == [-70.0] * 10
    assert command[10:110].tolist() == [-50.0] * 100
    assert (command[110], command[309], command[310]) == (-50.0, 0.0, -70.0)
    other = open_with_pyabf(steps)
    other.setSweep(1, 1)
    assert np.array_equal(command, other.sweepC)
    assert other.tagTimesSec == [1.0]


def test_nothing_stays_open_after_close(steps: Path) -> None:
    r = open_abf(steps)
    read_whole(r, "sweep000/adc0")
    r.close()
    steps.unlink()  # Windows refuses this while a handle is open
    with pytest.raises(Problem) as caught:
        read_whole(r, "sweep000/adc0")
    assert caught.value.finding.id == "file.missing"


def test_a_file_that_shrinks_while_it_is_read_is_reported(steps: Path) -> None:
    r = open_abf(steps)
    steps.write_bytes(steps.read_bytes()[:3000])
    with pytest.raises(Problem, match="became shorter"):
        read_whole(r, "sweep001/adc0")
    r.close()


def test_writers_of_others_leave_units_and_dates_out(tmp_path: Path) -> None:
    data = np.array([[0.0, 1.5, -2.0, 3.25], [4.0, 5.0, 6.0, 7.0]])
    writeABF1(data, str(tmp_path / "a.abf"), sampleRateHz=20_000, units="pA")
    r = open_abf(tmp_path / "a.abf")
    assert (r.started, r.protocol, r.facts) == (None, "", {"sampling_rate": "20000"})
    assert [c.unit for c in r.dac] == [""] * 4
    assert [str(s.start) for s in r.sweeps] == ["0", "0.0002"]
    scaled = read_whole(r, "sweep001/adc0") * float(r.adc[0].gain)
    np.testing.assert_allclose(scaled, data[1], atol=float(r.adc[0].gain))
    assert r.warnings == ("no table of sweep starts: sweeps are taken to be equally long and to follow at once",)


def test_the_rate_is_the_interval_s_not_an_integer(tmp_path: Path) -> None:
    r = open_abf(write_abf2(tmp_path / "a.abf", [QUIET], protocol={"fADCSequenceInterval": 2480.0}))
    assert r.facts["sampling_rate"] == "403.2258064516129"


def test_float_samples_stay_float(tmp_path: Path) -> None:
    data = np.linspace(-1, 1, COUNT, dtype="<f4")[:, None]
    r = open_abf(write_abf2(tmp_path / "a.abf", [data]))
    assert (r.adc[0].gain, r.adc[0].offset, r.adc[0].dtype) == (1, 0, np.dtype("f4"))
    assert np.array_equal(read_whole(r, "sweep000/adc0"), data[:, 0])


def test_event_driven_sweeps_differ_in_length(tmp_path: Path) -> None:
    sweeps = [np.full((n, 1), n, "<i2") for n in (5, 900, 17)]
    protocol = {"nOperationMode": 1, "fSynchTimeUnit": 0.0}
    r = open_abf(write_abf2(tmp_path / "a.abf", sweeps, starts=[14479, 44979, 147479], protocol=protocol))
    assert [(s.length, str(s.start)) for s in r.sweeps] == [(5, "1.4479"), (900, "4.4979"), (17, "14.7479")]
    assert set(read_whole(r, "sweep002/adc0")) == {17}
    assert r.mode == "event-driven, variable length"


def open_with_command(tmp_path: Path, **more: object) -> Recording:
    options = {
        "dac": [{"nWaveformEnable": 1, "nWaveformSource": 1, "fDACHoldingLevel": -70.0, **more.pop("wave", {})}],  # type: ignore[dict-item]
        "commands": [b"mV"],
    }
    return open_abf(write_abf2(tmp_path / "a.abf", [QUIET] * 3, **options, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("parameter", [11 + 50 + 1, 11 + 10 + 1])
def test_user_list_of_levels_replaces_level_and_increment(tmp_path: Path, parameter: int) -> None:
    epochs = [make_epoch(0, 1, 0.0, 100), make_epoch(1, 1, -200.0, 50, fEpochLevelInc=50.0)]
    r = open_with_command(tmp_path, epochs=epochs, lists=[(parameter, b"-200, -150, 25,")])
    assert [read_whole(r, f"sweep00{i}/dac0")[120] for i in range(3)] == [-200, -150, 25]


def test_user_list_of_durations_keeps_its_last_value(tmp_path: Path) -> None:
    epochs = [make_epoch(0, 1, 10.0, 100), make_epoch(1, 1, 20.0, 50)]
    r = open_with_command(tmp_path, epochs=epochs, lists=[(11 + 2 * 50 + 0, b"30, 60")])
    assert [np.count_nonzero(read_whole(r, f"sweep00{i}/dac0") == 10) for i in range(3)] == [30, 60, 60]


STEP, TRAIN = [make_epoch(0, 1, 0.0, 100)], make_epoch(1, 3, 5.0, 100, lEpochPulsePeriod=30, lEpochPulseWidth=10)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"epochs": STEP, "lists": [(7, b"1,2,3")]}, "user list varies parameter 7"),
        ({"epochs": STEP, "lists": [(61, b"one")]}, "user list varies parameter 61"),
        ({"epochs": [make_epoch(0, 1, 1e9, 100)]}, "impossible levels"),
        ({"epochs": [make_epoch(0, 1, float("nan"), 100)]}, "impossible levels"),
        ({"epochs": [make_epoch(0, 1, 0.0, COUNT)]}, "last longer than the sweep"),
        ({"epochs": [make_epoch(0, 1, 0.0, 10, lEpochDurationInc=-9)]}, "last longer than the sweep"),
        ({"epochs": [make_epoch(0, 6, 0.0, 10)]}, "epoch A is of the unknown type 6"),
        ({"epochs": [make_epoch(0, 3, 0.0, 10)]}, "pulses of 0 samples every 0"),
        ({"epochs": [*STEP, TRAIN]}, "epoch B ends within a pulse period"),
        (
            {"epochs": [*STEP, TRAIN | {"lEpochInitDuration": 90}, make_epoch(2, 2, 1.0, 9)]},
            "epoch C starts from the end",
        ),
        ({"epochs": STEP, "protocol": {"nAlternateDACOutputState": 1}}, "outputs alternate"),
        ({"wave": {"nWaveformSource": 2}}, "command file none does not lie beside"),
    ],
)
def test_what_the_header_does_not_determine_is_absent(tmp_path: Path, more: dict[str, object], why: str) -> None:
    r = open_with_command(tmp_path, **more)
    assert not any(s.stimuli for s in r.sweeps)
    assert not any("dac" in name for name in r.arrays)
    assert why in r.warnings[-1]


def test_the_last_level_carries_into_the_next_sweep(tmp_path: Path) -> None:
    r = open_with_command(
        tmp_path, wave={"nInterEpisodeLevel": 1}, epochs=[make_epoch(0, 1, 10.0, 100, fEpochLevelInc=1.0)]
    )
    first, second = read_whole(r, "sweep000/dac0"), read_whole(r, "sweep001/dac0")
    assert (first[0], first[-1], second[0], second[-1]) == (-70, 10, 10, 11)


def open_with_command_file(tmp_path: Path, name: bytes, scale: float = 0.5) -> Recording:
    wave = {"nWaveformSource": 2, "fDACFileScale": scale, "fDACFileOffset": -70.0}
    return open_with_command(tmp_path, wave=wave, command_file=b"C:\\rig\\" + name)


def test_a_command_file_may_be_an_abf(tmp_path: Path) -> None:
    writeABF1(np.linspace(-20, 20, COUNT)[None], str(tmp_path / "cmd.abf"), sampleRateHz=10_000, units="pA")
    r = open_with_command_file(tmp_path, b"CMD.ABF")
    made = read_whole(r, "sweep002/dac0")
    np.testing.assert_allclose(made, np.linspace(-80, -60, COUNT), atol=2e-3)  # stored as int16
    assert r.sweeps[2].stimuli[0].how == "file CMD.ABF"


ATF = b'ATF\t1.0\r\n1\t%d\r\n"Signals="\t"Cmd"\r\n"Time (s)"%s\r\n'


def make_atf(columns: int, samples: int) -> bytes:
    lines = (b"\t".join(b"%d" % (i + c) for c in range(columns + 1)) for i in range(samples))
    return ATF % (columns + 1, b'\t"Trace"' * columns) + b"\r\n".join(lines) + b"\r\n"


def test_a_command_file_with_a_sweep_each(tmp_path: Path) -> None:
    (tmp_path / "cmd.atf").write_bytes(make_atf(2, COUNT))
    r = open_with_command_file(tmp_path, b"cmd.atf", scale=1.0)
    assert [read_whole(r, f"sweep00{i}/dac0")[0] for i in range(2)] == [-69, -68]
    assert r.sweeps[2].stimuli == ()  # the file has two sweeps, the recording three


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"hello\nworld\n", "not with ATF"),
        (make_atf(1, COUNT - 1), "has 639 samples, the sweep 640"),
        (make_atf(1, COUNT) + b"x\ty\r\n", "line 645: 'x'"),
        (make_atf(1, 1) + b"1\tnan\r\n", "'nan' under 'Trace' is no number"),
        (make_atf(2, 3).replace(b'"Trace"', b'"Pump"', 1), "holds 2 signals"),
        (make_atf(1, 0), "holds no rows"),
        (b"ABF \0\0", "cannot be read"),
    ],
)
def test_a_bad_command_file_is_left_out(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "cmd.atf").write_bytes(content)
    r = open_with_command_file(tmp_path, b"cmd.atf")
    assert not any(s.stimuli for s in r.sweeps)
    assert why in r.warnings[-1]
