"""Which device and which rate are taken; no sound card is needed."""

import numpy as np
import pytest

from edgegenre_runtime.errors import MicrophoneError
from edgegenre_runtime.live.microphone import Microphone, MicrophoneInfo, choose_format, match_name
from edgegenre_runtime.live.microphone_source import _open_microphone as open_microphone
from edgegenre_runtime.live.microphone_source import lost_band_message


def test_microphones_are_matched_by_name():
    found = (
        MicrophoneInfo("HDA Intel", 0, 2),
        MicrophoneInfo("USB Audio: C-Media (hw:1,0)", 3, 1),
        MicrophoneInfo("usb", 4, 1),
    )
    assert match_name("c-media", found).index == 3
    assert match_name("usb", found).index == 4  # the exact name goes first
    assert match_name("", found, 3).index == 3
    assert match_name("", found, 99).index == 0
    with pytest.raises(MicrophoneError, match="'HDA Intel'"):
        match_name("violin", found)
    with pytest.raises(MicrophoneError, match="no microphone is there"):
        match_name("", ())


def test_the_best_rate_that_the_device_has_is_taken():
    assert choose_format(32, lambda rate, n: True) == (48000, 2)
    assert choose_format(1, lambda rate, n: rate == 44100) == (44100, 1)
    assert choose_format(2, lambda rate, n: (rate, n) == (16000, 1)) == (16000, 1)
    assert choose_format(4, lambda rate, n: n == 4) == (48000, 4)
    assert choose_format(2, lambda rate, n: False) is None
    assert "the band from 8000 to 11025 Hz is lost" in lost_band_message(16000)


class FakePortAudio:
    """What ``live.microphone`` uses of sounddevice; ``fails`` names the calls that raise."""

    class PortAudioError(Exception):
        pass

    class default:  # noqa: N801  # sounddevice's name
        device = (0, 0)

    def __init__(self, fails=(), error=None):
        self.fails, self.error = fails, error or self.PortAudioError("Unanticipated host error")

    def call(self, name):
        if name in self.fails:
            raise self.error

    def _terminate(self):
        self.call("terminate")

    def _initialize(self):
        self.call("initialize")

    def query_devices(self):
        self.call("query")
        return [{"name": "USB", "max_input_channels": 1}, {"name": "speaker", "max_input_channels": 0}]

    def check_input_settings(self, *_):
        self.call("check")

    def RawInputStream(self, **options):  # noqa: N802  # sounddevice's name
        self.call("open")
        return FakeStream(self, options)


class FakeStream:
    def __init__(self, audio, options):
        self.audio, self.options = audio, options

    @property
    def active(self):
        self.audio.call("active")
        return True

    def start(self):
        self.audio.call("start")

    def abort(self):
        self.audio.call("abort")

    def close(self):
        self.audio.call("close")


@pytest.fixture
def port_audio(monkeypatch):
    audio = FakePortAudio()
    monkeypatch.setattr("edgegenre_runtime.live.microphone._sounddevice", lambda: audio)
    return audio


@pytest.mark.parametrize("call", ["terminate", "initialize", "query", "open", "start", "check"])
@pytest.mark.parametrize(
    "error", [FakePortAudio.PortAudioError("busy."), OSError(5, "Input/output error"), ValueError("odd")]
)
def test_whatever_the_driver_raises_is_a_microphone_error_or_an_outage(port_audio, call, error):
    port_audio.fails, port_audio.error = (call,), error
    is_expected = isinstance(error, FakePortAudio.PortAudioError) or call in ("open", "start", "check")
    with pytest.raises(MicrophoneError if is_expected else type(error)):
        open_microphone("USB", lambda block, lost: None)


def test_a_device_that_is_gone_is_not_active_and_closes_without_a_word(port_audio):
    microphone = Microphone("usb", lambda block, lost: None)
    assert microphone.is_active
    assert (microphone.info.name, microphone.rate_hz, microphone.channels) == ("USB", 48000, 1)
    port_audio.fails = ("active", "abort", "close")
    assert not microphone.is_active
    microphone.close()


def test_the_callback_hands_over_float_samples_and_losses(port_audio):
    blocks = []
    microphone = Microphone("USB", lambda block, lost: blocks.append((block, lost)))
    steps = np.array([2**30, -(2**31)], np.int32)

    class Status:
        input_overflow = True

    microphone._stream.options["callback"](steps.tobytes(), 2, None, Status())
    ((block, is_after_loss),) = blocks
    assert block.samples.tolist() == [[0.5], [-1.0]]
    assert (block.rate_hz, is_after_loss) == (48000, True)
