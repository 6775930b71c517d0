"""Images, behaviour, volumes and models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from ..model.finding import Finding
from ..model.labels import find_label_files
from ..model.profile import Profile
from ..model.reagents import fold, plasmids_of
from ..model.record import Record
from ..tables import Tables
from .biology import FLUORESCENT, split_entries
from .rule import CheckResult, get_limit, get_row_id, make_cell_finding
from .sessions import get_session_interval


def check_exposure_time(image: Record, profile: Profile) -> Finding | None:
    """A frame is not exposed for longer than it lasts."""
    exposed, rate = image.values["exposure_time"], image.values["frame_rate"]
    if not isinstance(exposed, Decimal) or not isinstance(rate, Decimal):
        return None
    frame = 1000 / rate
    if exposed <= frame * get_limit(profile, "exposure_over_frame"):
        return None
    message = f"{exposed} ms is longer than a frame at {rate} Hz, {frame:.4g} ms"
    return make_cell_finding("image.exposure", image, "exposure_time", message, expected=f"<= {frame:.4g}")


def check_movie_duration(image: Record, profile: Profile) -> Finding | None:
    """A movie is not longer than its session."""
    session, rate, frames = image.related("session"), image.values["frame_rate"], image.values["z"]
    bounds = get_session_interval(session, profile) if session else None
    if bounds is None or not isinstance(rate, Decimal) or not isinstance(frames, int):
        return None
    seconds = Decimal((bounds[1] - bounds[0]) // timedelta(seconds=1))
    if frames / rate <= seconds + get_limit(profile, "movie_over_session_seconds"):
        return None
    message = f"{frames} frames at {rate} Hz last {frames / rate:.6g} s, the session {seconds} s"
    return make_cell_finding("image.duration", image, "z", message, expected=f"<= {seconds * rate:.6g} frames")


def check_image_indicator(image: Record, profile: Profile) -> Finding | None:
    """Voltage and calcium images come from a mouse that carries such an indicator, where it is known."""
    kind = image.values["image_type"]
    if kind not in ("voltage", "calcium"):
        return None
    indicators = {
        plasmid.key: str(plasmid.values["indicator"]) for plasmid in plasmids_of(image.related("session.mouse"))
    }
    if not indicators or f"{kind} indicator" in indicators.values():
        return None
    carried = ", ".join(f"{key}: {indicator}" for key, indicator in indicators.items())
    message = f"{kind}, but the mouse carries no {kind} indicator ({carried})"
    return make_cell_finding("image.indicator", image, "image_type", message)


def check_laser_line(image: Record, profile: Profile) -> Finding | None:
    """The light can excite the indicator: shorter than its emission, or far longer (multiphoton)."""
    line = image.values["laser_line"]
    if not isinstance(line, int):
        return None
    carried = [p for p in plasmids_of(image.related("session.mouse")) if p.values["indicator"] in FLUORESCENT]
    if len(carried) != 1:
        return None  # no row says which of several indicators a laser is meant for
    peak = carried[0].values["wavelength"]
    if not isinstance(peak, int):
        return None
    above = get_limit(profile, "multiphoton_nm_above")
    if line < peak or line > above:
        return None
    message = f"{line} nm cannot excite {carried[0].values['gene']}, which emits at {peak} nm ({carried[0].key})"
    return make_cell_finding("image.laser", image, "laser_line", message, expected=f"< {peak} or > {above}")


def check_roi_tool(image: Record, profile: Profile) -> Finding | None:
    """Regions of interest were drawn with something."""
    if image.values["file_path_roi"] is None or image.values["roi_tool"] is not None:
        return None
    return make_cell_finding("image.roi_tool", image, "roi_tool", "is blank, but file_path_roi is given")


_REGIONS = (".roi", ".zip", ".npy", ".tif", ".tiff", ".png", ".hdf5", ".h5", "/")
"""As the converter of regions has them."""


def check_roi_file(image: Record, profile: Profile) -> Finding | None:
    """Regions of interest are converted where a reader is likely to take them, and the image is a movie."""
    name, is_movie = str(image.values["file_path_roi"] or ""), image.values["frame_rate"] is not None
    if not name or (is_movie and name.lower().endswith(_REGIONS)):
        return None
    if not is_movie and image.values["image_type"] in ("voltage", "calcium"):
        return None  # that its frame_rate is blank is an error of its own
    stated = find_label_files(profile.labels, image.key).values()
    if not is_movie and any(one.column == "file_path_roi" or one.path == name for one in stated):
        return None
    if not is_movie:
        why = "belongs to an image without a frame_rate, and regions are converted with movies only"
    else:
        why = "is none of the regions that are read (ImageJ, suite2p, CaImAn, mask images, labels)"
    message = f"{why}; the file is kept as it is, and not converted"
    return make_cell_finding("image.roi_kept", image, "file_path_roi", message)


def check_processing_methods(image: Record, profile: Profile) -> Finding | None:
    """A processed file was processed in some way."""
    if image.values["file_path_processed"] is None or image.values["processing_methods"] is not None:
        return None
    return make_cell_finding(
        "image.processing", image, "processing_methods", "is blank, but file_path_processed is given"
    )


def check_injected_agent(behavior: Record, profile: Profile) -> Finding | None:
    """An agent that is both injected and the anaesthetic is pointed out."""
    session, injected = behavior.related("session"), behavior.values["injection"]
    agent = session.values["anesthesia"] if session else None
    if injected is None or agent is None or fold(str(agent)) in ("none", "awake"):
        return None
    if fold(split_entries(str(injected))[0]) not in {fold(entry) for entry in split_entries(str(agent))}:
        return None
    return make_cell_finding(
        "behavior.injection", behavior, "injection", f"{injected!r} is also the session's anaesthetic"
    )


def check_sem_resolution(dataset: Record, profile: Profile) -> Finding | None:
    """Pixels of an electron microscope are nanometres wide."""
    size = dataset.values["resolution"]
    least, most = get_limit(profile, "sem_resolution_nm_min"), get_limit(profile, "sem_resolution_nm_max")
    if not isinstance(size, Decimal) or least <= size <= most:
        return None
    bounds = f"{least} to {most} nm"
    return make_cell_finding(
        "sem_dataset.resolution", dataset, "resolution", f"{size} nm is outside of {bounds}", expected=bounds
    )


def check_model_versions(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """A lab's description and version name one model."""
    first: dict[tuple[str, str, str], Record] = {}
    for model in tables.iterate_rows("model"):
        text, version = model.values["description"], model.values["model_version"]
        if text is None or version is None:
            continue
        other = first.setdefault((model.lab, str(text), str(version)), model)
        if other is not model:
            message = f"{other.key} has the same description and version {version}"
            yield make_cell_finding("model.version_twice", model, "model_version", message), [get_row_id(model)]
