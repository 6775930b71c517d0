"""Where the fields of ABF 1 and ABF 2 headers lie, as packed little-endian numpy types.

Field names are those of the format's own documentation (Axon's ABFHEADR and its user guide).
"""

from __future__ import annotations

import numpy as np

BLOCK = 512
ABF1_SHORT = 2048
"""Bytes of the header before version 1.6; what lies behind it there is data."""
ABF1_LONG = 6144

TAG = np.dtype([("lTagTime", "<i4"), ("sComment", "S56"), ("nTagType", "<i2"), ("nVoiceTagNumber", "<i2")])
SYNCH = np.dtype([("lStart", "<i4"), ("lLength", "<i4")])
SECTION = np.dtype([("uBlockIndex", "<u4"), ("uBytes", "<u4"), ("llNumEntries", "<i8")])

SECTIONS = (
    "Protocol", "ADC", "DAC", "Epoch", "ADCPerDAC", "EpochPerDAC", "UserList", "StatsRegion", "Math", "Strings",
    "Data", "Tag", "Scope", "Delta", "VoiceTag", "SynchArray", "Annotation", "Stats",
)  # fmt: skip
"""ABF 2: the table of contents at byte 76, in this order."""

_CODES = {"b": "<i1", "B": "<u1", "h": "<i2", "H": "<u2", "i": "<i4", "I": "<u4", "f": "<f4"}


def _parse_field_code(code: str) -> tuple[str, tuple[int, ...]]:
    """``16h`` -> 16 int16; ``4*256s`` -> 4 texts of 256 bytes; ``56s`` -> one text."""
    if code.endswith("s"):
        count, _, size = code[:-1].rpartition("*")
        return f"S{size}", (int(count),) if count else ()
    return _CODES[code[-1]], (int(code[:-1]),) if code[:-1] else ()


def _pack_fields(spec: str) -> np.dtype[np.void]:
    """Fields one behind the other: ``name:code name:code``."""
    return np.dtype([(name, *_parse_field_code(code)) for name, code in (item.split(":") for item in spec.split())])


def _place_fields(spec: str, size: int) -> np.dtype[np.void]:
    """Fields at stated bytes: ``byte:name:code``."""
    items = [item.split(":") for item in spec.split()]
    return np.dtype(
        {
            "names": [name for _, name, _ in items],
            "formats": [_parse_field_code(code) for _, _, code in items],
            "offsets": [int(byte) for byte, _, _ in items],
            "itemsize": size,
        }
    )


_V1 = """
4:fFileVersionNumber:f 8:nOperationMode:h 10:lActualAcqLength:i 14:nNumPointsIgnored:h 16:lActualEpisodes:i
20:lFileStartDate:i 24:lFileStartTime:i 28:lStopwatchTime:i 32:fHeaderVersionNumber:f 36:nFileType:h
38:nMSBinFormat:h 40:lDataSectionPtr:i 44:lTagSectionPtr:i 48:lNumTagEntries:i 92:lSynchArrayPtr:i
96:lSynchArraySize:i 100:nDataFormat:h 102:nSimultaneousScan:h 120:nADCNumChannels:h 122:fADCSampleInterval:f
126:fADCSecondSampleInterval:f 130:fSynchTimeUnit:f 134:fSecondsPerRun:f 138:lNumSamplesPerEpisode:i
142:lPreTriggerSamples:i 146:lEpisodesPerRun:i 150:lRunsPerTrial:i 154:lNumberOfTrials:i 158:nAveragingMode:h
164:fTriggerThreshold:f 168:nTriggerSource:h 170:nTriggerAction:h 172:nTriggerPolarity:h
178:fEpisodeStartToStart:f 182:fRunStartToStart:f 186:fTrialStartToStart:f 190:lAverageCount:i 194:lClockChange:i
244:fADCRange:f 248:fDACRange:f 252:lADCResolution:i 256:lDACResolution:i 260:nExperimentType:h
294:sCreatorInfo:16s 310:sFileComment:56s 366:nFileStartMillisecs:h 378:nADCPtoLChannelMap:16h
410:nADCSamplingSeq:16h 442:sADCChannelName:16*10s 602:sADCUnits:16*8s 730:fADCProgrammableGain:16f
922:fInstrumentScaleFactor:16f 986:fInstrumentOffset:16f 1050:fSignalGain:16f 1114:fSignalOffset:16f
1178:fSignalLowpassFilter:16f 1242:fSignalHighpassFilter:16f 1306:sDACChannelName:4*10s 1346:sDACChannelUnits:4*8s
1378:fDACScaleFactor:4f 1394:fDACHoldingLevel:4f 1410:nSignalType:h 1436:nDigitalEnable:h 1440:nActiveDACChannel:h
"""

V1_SHORT = _place_fields(_V1, ABF1_SHORT)
V1_LONG = _place_fields(
    _V1
    + """
2048:lDACFilePtr:2i 2056:lDACFileNumEpisodes:2i 2296:nWaveformEnable:2h 2300:nWaveformSource:2h
2304:nInterEpisodeLevel:2h 2308:nEpochType:20h 2348:fEpochInitLevel:20f 2428:fEpochLevelInc:20f
2508:lEpochInitDuration:20i 2588:lEpochDurationInc:20i 2708:fDACFileScale:2f 2716:fDACFileOffset:2f
2724:lDACFileEpisodeNum:2i 2732:nDACFileADCNum:2h 2736:sDACFilePath:2*256s 3360:nULEnable:4h 3368:nULParamToVary:4h
3376:sULParamValueList:4*256s 4400:nULRepeat:4h 4512:nTelegraphEnable:16h 4544:nTelegraphInstrument:16h
4576:fTelegraphAdditGain:16f 4640:fTelegraphFilter:16f 4704:fTelegraphMembraneCap:16f 4768:nTelegraphMode:16h
4898:sProtocolPath:256s 5154:sFileComment2:128s 5798:nCreatorMajorVersion:h 5800:nCreatorMinorVersion:h
5802:nCreatorBugfixVersion:h 5804:nCreatorBuildVersion:h
""",
    ABF1_LONG,
)

V2 = _pack_fields("""
sFileSignature:4s fFileVersionNumber:4B uFileInfoSize:I lActualEpisodes:I uFileStartDate:I uFileStartTimeMS:I
uStopwatchTime:I nFileType:H nDataFormat:H nSimultaneousScan:H nCRCEnable:H uFileCRC:I FileGUID:16B
uCreatorVersion:4B uCreatorNameIndex:I uModifierVersion:4B uModifierNameIndex:I uProtocolPathIndex:I
""")

PROTOCOL = _pack_fields("""
nOperationMode:h fADCSequenceInterval:f bEnableFileCompression:B sUnused:3B uFileCompressionRatio:I fSynchTimeUnit:f
fSecondsPerRun:f lNumSamplesPerEpisode:i lPreTriggerSamples:i lEpisodesPerRun:i lRunsPerTrial:i lNumberOfTrials:i
nAveragingMode:h nUndoRunCount:h nFirstEpisodeInRun:h fTriggerThreshold:f nTriggerSource:h nTriggerAction:h
nTriggerPolarity:h fScopeOutputInterval:f fEpisodeStartToStart:f fRunStartToStart:f lAverageCount:i
fTrialStartToStart:f nAutoTriggerStrategy:h fFirstRunDelayS:f nChannelStatsStrategy:h lSamplesPerTrace:i
lStartDisplayNum:i lFinishDisplayNum:i nShowPNRawData:h fStatisticsPeriod:f lStatisticsMeasurements:i
nStatisticsSaveStrategy:h fADCRange:f fDACRange:f lADCResolution:i lDACResolution:i nExperimentType:h
nManualInfoStrategy:h nCommentsEnable:h lFileCommentIndex:i nAutoAnalyseEnable:h nSignalType:h nDigitalEnable:h
nActiveDACChannel:h nDigitalHolding:h nDigitalInterEpisode:h nDigitalDACChannel:h nDigitalTrainActiveLogic:h
nStatsEnable:h nStatisticsClearStrategy:h nLevelHysteresis:h lTimeHysteresis:i nAllowExternalTags:h
nAverageAlgorithm:h fAverageWeighting:f nUndoPromptStrategy:h nTrialTriggerSource:h nStatisticsDisplayStrategy:h
nExternalTagType:h nScopeTriggerOut:h nLTPType:h nAlternateDACOutputState:h nAlternateDigitalOutputState:h
fCellID:3f nDigitizerADCs:h nDigitizerDACs:h nDigitizerTotalDigitalOuts:h nDigitizerSynchDigitalOuts:h
nDigitizerType:h
""")

ADC = _pack_fields("""
nADCNum:h nTelegraphEnable:h nTelegraphInstrument:h fTelegraphAdditGain:f fTelegraphFilter:f fTelegraphMembraneCap:f
nTelegraphMode:h fTelegraphAccessResistance:f nADCPtoLChannelMap:h nADCSamplingSeq:h fADCProgrammableGain:f
fADCDisplayAmplification:f fADCDisplayOffset:f fInstrumentScaleFactor:f fInstrumentOffset:f fSignalGain:f
fSignalOffset:f fSignalLowpassFilter:f fSignalHighpassFilter:f nLowpassFilterType:b nHighpassFilterType:b
fPostProcessLowpassFilter:f nPostProcessLowpassFilterType:b bEnabledDuringPN:B nStatsChannelPolarity:h
lADCChannelNameIndex:i lADCUnitsIndex:i
""")

DAC = _pack_fields("""
nDACNum:h nTelegraphDACScaleFactorEnable:h fInstrumentHoldingLevel:f fDACScaleFactor:f fDACHoldingLevel:f
fDACCalibrationFactor:f fDACCalibrationOffset:f lDACChannelNameIndex:i lDACChannelUnitsIndex:i lDACFilePtr:i
lDACFileNumEpisodes:i nWaveformEnable:h nWaveformSource:h nInterEpisodeLevel:h fDACFileScale:f fDACFileOffset:f
lDACFileEpisodeNum:i nDACFileADCNum:h nConditEnable:h lConditNumPulses:i fBaselineDuration:f fBaselineLevel:f
fStepDuration:f fStepLevel:f fPostTrainPeriod:f fPostTrainLevel:f nMembTestEnable:h nLeakSubtractType:h
nPNPolarity:h fPNHoldingLevel:f nPNNumADCChannels:h nPNPosition:h nPNNumPulses:h fPNSettlingTime:f fPNInterpulse:f
nLTPUsageOfDAC:h nLTPPresynapticPulses:h lDACFilePathIndex:i fMembTestPreSettlingTimeMS:f
fMembTestPostSettlingTimeMS:f nLeakSubtractADCIndex:h
""")

EPOCH_PER_DAC = _pack_fields("""
nEpochNum:h nDACNum:h nEpochType:h fEpochInitLevel:f fEpochLevelInc:f lEpochInitDuration:i lEpochDurationInc:i
lEpochPulsePeriod:i lEpochPulseWidth:i
""")

EPOCH = _pack_fields(
    "nEpochNum:h nDigitalValue:h nDigitalTrainValue:h nAlternateDigitalValue:h nAlternateDigitalTrainValue:h"
)

USER_LIST = _pack_fields("nListNum:h nULEnable:h nULParamToVary:h nULRepeat:h lULParamValueListIndex:i")
