"""Images, behaviour, volumes and models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from ..model.finding import Finding
from ..model.profile import Profile
from ..model.reagents import fold, plasmids_of
from ..model.record import Record
from ..tables import Tables
from .biology import FLUORESCENT, entries
from .rule import Found, limit, row_id, tell
from .sessions import interval


def exposure(image: Record, profile: Profile) -> Finding | None:
    """A frame is not exposed for longer than it lasts."""
    exposed, rate = image.values["exposure_time"], image.values["frame_rate"]
    if not isinstance(exposed, Decimal) or not isinstance(rate, Decimal):
        return None
    frame = 1000 / rate
    if exposed <= frame * limit(profile, "exposure_over_frame"):
        return None
    message = f"{exposed} ms is longer than a frame at {rate} Hz, {frame:.4g} ms"
    return tell("image.exposure", image, "exposure_time", message, expected=f"<= {frame:.4g}")


def duration(image: Record, profile: Profile) -> Finding | None:
    """A movie is not longer than its session."""
    session, rate, frames = image.related("session"), image.values["frame_rate"], image.values["z"]
    bounds = interval(session, profile) if session else None
    if bounds is None or not isinstance(rate, Decimal) or not isinstance(frames, int):
        return None
    seconds = Decimal((bounds[1] - bounds[0]) // timedelta(seconds=1))
    if frames / rate <= seconds + limit(profile, "movie_over_session_seconds"):
        return None
    message = f"{frames} frames at {rate} Hz last {frames / rate:.6g} s, the session {seconds} s"
    return tell("image.duration", image, "z", message, expected=f"<= {seconds * rate:.6g} frames")


def indicator(image: Record, profile: Profile) -> Finding | None:
    """Voltage and calcium images come from a mouse that carries such an indicator, where it is known."""
    kind = image.values["image_type"]
    carried = plasmids_of(image.related("session.mouse")) if kind in ("voltage", "calcium") else []
    if not carried:
        return None
    kinds = [str(p.values["indicator"]) for p in carried]
    if f"{kind} indicator" in kinds:
        return None
    said = ", ".join(f"{p.key}: {k}" for p, k in zip(carried, kinds, strict=True))
    return tell("image.indicator", image, "image_type", f"{kind}, but the mouse carries no {kind} indicator ({said})")


def laser(image: Record, profile: Profile) -> Finding | None:
    """The light can excite the indicator: shorter than its emission, or far longer (multiphoton)."""
    line = image.values["laser_line"]
    if not isinstance(line, int):
        return None
    carried = [p for p in plasmids_of(image.related("session.mouse")) if p.values["indicator"] in FLUORESCENT]
    peak = carried[0].values["wavelength"] if len(carried) == 1 else None
    if not isinstance(peak, int):
        return None
    above = limit(profile, "multiphoton_nm_above")
    if line < peak or line > above:
        return None
    message = f"{line} nm cannot excite {carried[0].values['gene']}, which emits at {peak} nm ({carried[0].key})"
    return tell("image.laser", image, "laser_line", message, expected=f"< {peak} or > {above}")


def roi_tool(image: Record, profile: Profile) -> Finding | None:
    """Regions of interest were drawn with something."""
    if image.values["file_path_roi"] is None or image.values["roi_tool"] is not None:
        return None
    return tell("image.roi_tool", image, "roi_tool", "is blank, but file_path_roi is given")


def processing(image: Record, profile: Profile) -> Finding | None:
    """A processed file was processed in some way."""
    if image.values["file_path_processed"] is None or image.values["processing_methods"] is not None:
        return None
    return tell("image.processing", image, "processing_methods", "is blank, but file_path_processed is given")


def injection(behavior: Record, profile: Profile) -> Finding | None:
    """An agent that is both injected and the anaesthetic is pointed out."""
    session, injected = behavior.related("session"), behavior.values["injection"]
    agent = session.values["anesthesia"] if session else None
    if injected is None or agent is None or fold(str(agent)) in ("none", "awake"):
        return None
    if fold(entries(str(injected))[0]) not in {fold(entry) for entry in entries(str(agent))}:
        return None
    return tell("behavior.injection", behavior, "injection", f"{injected!r} is also the session's anaesthetic")


def resolution(dataset: Record, profile: Profile) -> Finding | None:
    """Pixels of an electron microscope are nanometres wide."""
    size = dataset.values["resolution"]
    least, most = limit(profile, "sem_resolution_nm_min"), limit(profile, "sem_resolution_nm_max")
    if not isinstance(size, Decimal) or least <= size <= most:
        return None
    bounds = f"{least} to {most} nm"
    return tell("sem_dataset.resolution", dataset, "resolution", f"{size} nm is outside of {bounds}", expected=bounds)


def model_versions(tables: Tables, profile: Profile) -> Iterator[Found]:
    """A lab's description and version name one model."""
    first: dict[tuple[str, str, str], Record] = {}
    for model in tables.table("model").values():
        text, version = model.values["description"], model.values["model_version"]
        if text is None or version is None:
            continue
        other = first.setdefault((model.lab, str(text), str(version)), model)
        if other is not model:
            message = f"{other.key} has the same description and version {version}"
            yield tell("model.version_twice", model, "model_version", message), [row_id(model)]
