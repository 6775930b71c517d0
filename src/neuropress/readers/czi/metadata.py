"""The XML of a CZI: scaling in metres, channels, objective, exposure, names of scenes, the clock."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from xml.etree import ElementTree

from ...model import budget
from ...model.finding import problem
from ...model.parsing import parse_xml
from ..images.calibration import ImageMetadata, parse_decimal
from ..microscopes.facts import set_optics

_IMAGE = "Metadata/Information/Image"
_INSTRUMENT = "Metadata/Information/Instrument"
_UM_PER_METRE = 1_000_000
_MS_PER_NS = Decimal("0.000001")


class CziXml:
    """What the XML states; everything is absent where there is none."""

    def __init__(self, text: str, key: str) -> None:
        self.text = text
        try:
            depth = budget.VENDOR_XML_DEPTH
            root = parse_xml(text, depth) if text.strip() else ElementTree.Element("ImageDocument")
        except budget.OverBudget as error:
            raise problem("image.hostile", f"{key}: its metadata has {error}", file=key) from error
        except ElementTree.ParseError as error:
            raise problem("microscope.damaged", f"{key}: its metadata is no XML ({error})", file=key) from error
        self._root = root

    def find_scaling(self, axis: str) -> Decimal | None:
        """Um per pixel along X, Y or Z."""
        for distance in self._root.iterfind("Metadata/Scaling/Items/Distance"):
            value = parse_decimal(distance.findtext("Value", ""))
            if distance.get("Id") == axis and value and value > 0:
                return (value * _UM_PER_METRE).normalize()
        return None

    def find_start(self) -> datetime | None:
        """When the acquisition began."""
        text = self._root.findtext(f"{_IMAGE}/AcquisitionDateAndTime", "").strip()
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None

    def find_scene_name(self, number: int) -> str:
        """What the file calls a scene."""
        for scene in self._root.iterfind(f"{_IMAGE}/Dimensions/S/Scenes/Scene"):
            if scene.get("Index") == str(number):
                return scene.get("Name", "").strip()
        return ""

    def list_channels(self, first: int, count: int) -> tuple[str, ...]:
        """Names of the channels from index `first` on; none where one has no name."""
        channels = self._select_channels(first, count)
        shown = self._root.findall("Metadata/DisplaySetting/Channels/Channel")
        names = {channel.get("Id"): channel.get("Name", "").strip() for channel in shown}
        found = [channel.get("Name", "").strip() or names.get(channel.get("Id"), "") for channel in channels]
        if not all(found) and len(shown) == count:
            found = [channel.get("Name", "").strip() for channel in shown]
        return tuple(found) if len(found) == count and all(found) else ()

    def apply(self, meta: ImageMetadata, first: int, count: int, has_depth: bool) -> None:
        """Calibration and optics of the channels from index `first` on."""
        meta.set_pixel_size(self.find_scaling("X"), self.find_scaling("Y"))
        if has_depth and (step := self.find_scaling("Z")):
            meta.spacing["z"] = step
        channels = self._select_channels(first, count)
        exposures = [parse_decimal(channel.findtext("ExposureTime", "")) for channel in channels]
        objective = self._find_objective()
        set_optics(
            meta,
            objective.findtext("LensNA", "") if objective is not None else None,
            objective.findtext("NominalMagnification", "") if objective is not None else None,
            [parse_decimal(channel.findtext("ExcitationWavelength", "")) for channel in channels],
            [value * _MS_PER_NS for value in exposures if value],
        )

    def _select_channels(self, first: int, count: int) -> list[ElementTree.Element]:
        """The channels from index `first` on: by the index that their Id ends in, else all, if they are as many.

        A file that was cut out of another one can keep the Ids and count its channels anew.
        """
        listed = self._root.findall(f"{_IMAGE}/Dimensions/Channels/Channel")
        by_id = {channel.get("Id", ""): channel for channel in listed}
        wanted = [f"Channel:{number}" for number in range(first, first + count)] if count <= len(listed) else []
        if wanted and all(id in by_id for id in wanted):
            return [by_id[id] for id in wanted]
        return listed if len(listed) == count else []

    def _find_objective(self) -> ElementTree.Element | None:
        """The objective that the image refers to, or the only one."""
        objectives = self._root.findall(f"{_INSTRUMENT}/Objectives/Objective")
        reference = self._root.find(f"{_IMAGE}/ObjectiveSettings/ObjectiveRef")
        wanted = reference.get("Id") if reference is not None else None
        named = [one for one in objectives if wanted and one.get("Id") == wanted]
        if named:
            return named[0]
        return objectives[0] if len(objectives) == 1 else None
