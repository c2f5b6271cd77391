"""The microphone, through PortAudio: found by name, opened at a rate that it has. Only this file knows sounddevice."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from edgegenre_runtime.errors import MicrophoneError

from .audio_queue import AudioBlock

__all__ = [
    "RATES_HZ",
    "Microphone",
    "MicrophoneInfo",
    "choose_format",
    "match_name",
    "microphones",
    "rates_hz",
    "refresh",
]

RATES_HZ = (48_000, 44_100, 32_000, 22_050, 16_000, 11_025, 8_000)
"""Rates that are tried, in this order: the first ones hold all that the front-end hears."""

_LATENCY_S = 0.1
_NO_LIBRARY = (
    "the PortAudio library is missing: run  sudo apt install libportaudio2  "
    "(without it, this works too:  arecord -t raw -f S16_LE -r 48000 -c 1 | edgegenre-run - --rate 48000 --every 1)"
)


@dataclasses.dataclass(frozen=True, slots=True)
class MicrophoneInfo:
    """A device that records.

    Attributes
    ----------
    name
        PortAudio's name of it; this, not the number, is what it is found by.
    index
        PortAudio's number of it, which changes when devices come and go.
    channels
        Channels that it has at most.
    """

    name: str
    index: int
    channels: int


@functools.cache
def _sounddevice() -> ModuleType:
    """Import sounddevice (and start PortAudio); raises :class:`MicrophoneError` where the library is missing."""
    _silence_alsa()
    try:
        import sounddevice
    except OSError as error:
        raise MicrophoneError(_NO_LIBRARY) from error
    except ImportError as error:
        raise MicrophoneError("sounddevice is not installed: run  pip install sounddevice") from error
    return sounddevice  # type: ignore[no-any-return]


_ErrorHandler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)


_IGNORE_ERRORS = _ErrorHandler(lambda *_: None)  # held here: libasound holds a pointer to it


def _silence_alsa() -> None:
    """Swallow what libasound would print on every device that is configured and not there."""
    with contextlib.suppress(OSError, AttributeError):  # no ALSA on this machine: nothing to silence
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_IGNORE_ERRORS)


def refresh() -> None:
    """Look for devices again; PortAudio lists them once, at its start. No stream may be open.

    Raises
    ------
    MicrophoneError
        If the PortAudio library is missing or does not start.
    """
    sounddevice = _sounddevice()
    try:
        sounddevice._terminate()
        sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"PortAudio cannot start ({_reason(error)})") from error


def microphones() -> tuple[MicrophoneInfo, ...]:
    """Return the devices that record, in PortAudio's order.

    Raises
    ------
    MicrophoneError
        If the PortAudio library is missing or does not start.
    """
    sounddevice = _sounddevice()
    try:
        devices = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"PortAudio cannot list the devices ({_reason(error)})") from error
    return tuple(
        MicrophoneInfo(device["name"], index, device["max_input_channels"])
        for index, device in enumerate(devices)
        if device["max_input_channels"] > 0
    )


def match_name(name: str, found: tuple[MicrophoneInfo, ...], default_index: int = -1) -> MicrophoneInfo:
    """Return the device called ``name``, or the first whose name contains it, in any case; "" is the default one.

    Raises
    ------
    MicrophoneError
        If there is none; the message names those there are.
    """
    if not found:
        raise MicrophoneError("no microphone is there: plug one in, or see  edgegenre-run --list-mics")
    if not name:
        return next((info for info in found if info.index == default_index), found[0])
    exact = [info for info in found if info.name == name]
    partly = [info for info in found if name.casefold() in info.name.casefold()]
    if not exact + partly:
        there = ", ".join(repr(info.name) for info in found)
        raise MicrophoneError(f"no microphone has {name!r} in its name; there are: {there}")
    return (exact + partly)[0]


def choose_format(max_channels: int, is_possible: Callable[[int, int], bool]) -> tuple[int, int] | None:
    """Return the first (rate in Hz, channels) that the device has, or None; two channels before one before all."""
    candidates = dict.fromkeys((min(max_channels, 2), 1, max_channels))
    return next(((rate, n) for rate in RATES_HZ for n in candidates if is_possible(rate, n)), None)


def rates_hz(info: MicrophoneInfo) -> Iterator[int]:
    """Yield the rates of :data:`RATES_HZ` at which the device opens."""
    for rate_hz in RATES_HZ:
        if any(_opens(info, rate_hz, channels) for channels in {min(info.channels, 2), 1}):
            yield rate_hz


def _opens(info: MicrophoneInfo, rate_hz: int, channels: int) -> bool:
    sounddevice = _sounddevice()
    try:
        sounddevice.check_input_settings(info.index, channels, "int32", None, rate_hz)
    except (sounddevice.PortAudioError, OSError, ValueError):
        return False
    return True


class Microphone:
    """An open microphone: each block goes, float32 [n, channels], to ``on_block`` in PortAudio's own thread.

    Samples are asked for as int32, which holds those of 16, 24 and 32 bits exactly; the rate is one at which the device
    opens without PortAudio converting.

    Parameters
    ----------
    name
        As in :func:`match_name`.
    on_block
        Takes a :class:`~.audio_queue.AudioBlock` (whose ``lost_samples`` is 0) and whether the device reports
        samples lost before it.

    Attributes
    ----------
    info, rate_hz, channels
        What was opened.

    Raises
    ------
    MicrophoneError
        If there is no such device, or it does not open (busy, or no permission).
    """

    def __init__(self, name: str, on_block: Callable[[AudioBlock, bool], None]) -> None:
        sounddevice = _sounddevice()
        self.info = match_name(name, microphones(), int(sounddevice.default.device[0]))
        chosen = choose_format(self.info.channels, functools.partial(_opens, self.info))
        if chosen is None:
            raise MicrophoneError(
                f"microphone {self.info.name!r} opens at none of {', '.join(map(str, RATES_HZ))} Hz: another program "
                "may hold it, or this user may not record (is it in the group audio?)"
            )
        self.rate_hz, self.channels = chosen
        self._on_block = on_block
        try:
            self._stream = sounddevice.RawInputStream(
                samplerate=self.rate_hz,
                device=self.info.index,
                channels=self.channels,
                dtype="int32",
                latency=_LATENCY_S,
                callback=self._callback,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, OSError, ValueError) as error:
            raise MicrophoneError(f"microphone {self.info.name!r} does not open ({_reason(error)})") from error

    @property
    def is_active(self) -> bool:
        """Whether PortAudio believes that it runs; that samples arrive is another matter."""
        try:
            return bool(self._stream.active)
        except _sounddevice().PortAudioError:
            return False

    def close(self) -> None:
        """Stop and release the device; never raises, since the device may be gone."""
        with contextlib.suppress(_sounddevice().PortAudioError):
            self._stream.abort()
        with contextlib.suppress(_sounddevice().PortAudioError):
            self._stream.close()

    def _callback(self, data: Any, n_frames: int, _time: Any, status: Any) -> None:
        steps = np.frombuffer(data, np.int32).reshape(n_frames, self.channels)
        samples = steps.astype(np.float32) * np.float32(2.0**-31)
        self._on_block(AudioBlock(samples, self.rate_hz, 0, time.monotonic()), bool(status.input_overflow))


def _reason(error: Exception) -> str:
    return str(error.args[0] if error.args else error).rstrip(".")
