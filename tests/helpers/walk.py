"""Which modules of the export's stages a job visits, in the order in which it enters them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

import edgegenre_export

STAGES = ("prepare", "quantize", "convert", "check", "accept", "package")
_PACKAGE = str(Path(edgegenre_export.__file__).parent) + "/"
_Result = TypeVar("_Result")


def recorded_walk(run: Callable[[], _Result]) -> tuple[_Result, list[str]]:
    """Call ``run``; returns its result and the stops, e.g. ``convert/onnx/from_torch``.

    A stop is a call of a stage module's function from another module of the package. Calls that come back through a
    library (a network's ``forward`` that a converter traces, a hook) are the library's, and methods of a frozen record
    are no visit to the module that declares it.
    """
    stops: list[str] = []

    def trace(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(_PACKAGE) or frame.f_code.co_name == "<module>":
            return
        if dataclasses.is_dataclass(frame.f_locals.get("self")):
            return
        place = name[len(_PACKAGE) :].removesuffix(".py")
        caller = frame.f_back.f_code.co_filename if frame.f_back is not None else ""
        if place.split("/")[0] in STAGES and caller.startswith(_PACKAGE) and caller != name:
            stops.append(place)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = run()
    finally:
        sys.settrace(before)
    return result, [place for i, place in enumerate(stops) if i == 0 or stops[i - 1] != place]
