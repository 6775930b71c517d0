"""Names of the instruments that ABF headers number, as their makers call them.

The numbers are those of the format's own documentation (``nDigitizerType``, ``nTelegraphInstrument``); a number that
is not here is a manual setting or an instrument that nobody met.
"""

from __future__ import annotations

DIGITIZERS = {
    1: "Demo", 2: "MiniDigi", 3: "DD132X", 4: "OPUS", 5: "PATCH", 6: "Digidata 1440", 7: "MINIDIGI2",
    8: "Digidata 1550",
}  # fmt: skip

AMPLIFIERS = {
    1: "Axopatch-1 with CV-4-1/100", 2: "Axopatch-1 with CV-4-0.1/100", 3: "Axopatch-1B(inv.) CV-4-1/100",
    4: "Axopatch-1B(inv) CV-4-0.1/100", 5: "Axopatch 200 with CV 201", 6: "Axopatch 200 with CV 202", 7: "GeneClamp",
    8: "Dagan 3900", 9: "Dagan 3900A", 10: "Dagan CA-1  Im=0.1", 11: "Dagan CA-1  Im=1.0", 12: "Dagan CA-1  Im=10",
    13: "Warner OC-725", 14: "Warner OC-725", 15: "Axopatch 200B", 16: "Dagan PC-ONE  Im=0.1",
    17: "Dagan PC-ONE  Im=1.0", 18: "Dagan PC-ONE  Im=10", 19: "Dagan PC-ONE  Im=100", 20: "Warner BC-525C",
    21: "Warner PC-505", 22: "Warner PC-501", 23: "Dagan CA-1  Im=0.05", 24: "MultiClamp 700", 25: "Turbo Tec",
    26: "OpusXpress 6000A", 27: "Axoclamp 900",
}  # fmt: skip
"""What telegraphs its gain to the recording program."""
