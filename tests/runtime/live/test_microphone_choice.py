"""Which device and which rate are taken; no sound card is needed."""

import pytest

from edgegenre_runtime.errors import MicrophoneError
from edgegenre_runtime.live.microphone import MicrophoneInfo, choose_format, match_name
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
