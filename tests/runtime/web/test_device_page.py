"""The page of ``edgegenre-run --http`` in Debian's Chromium: what the device answers, as it comes."""

import pytest
from live_results import answer
from web_pages import CHROMIUM, Listening

from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.outputs.http_page import StatusPage

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"), pytest.mark.slow]

LABELS = ("jazz", 'ro"<ck>')


def test_it_shows_the_devices_answers_and_events(context):
    server = StatusPage(":0", "mic <1>", Latency(), LABELS)
    try:
        server.result(answer(dropped=5))
        found = Listening(context, server.url)
        found.wait("document.getElementById('label').textContent === 'jazz'")
        assert not found.page.is_visible("#listen")
        assert found.page.inner_text("#status") == "Live: mic <1>"
        assert "5 samples dropped" in found.page.inner_text("#counts")
        assert found.page.get_by_role("meter", name='ro"<ck>').get_attribute("aria-valuenow") == "25"
        server.result(answer("silence", dropped=2))
        found.wait("document.getElementById('label').textContent === 'silence'")
        assert "7 samples dropped" in found.page.inner_text("#counts")
        bright = "document.getElementById('spectrogram').getContext('2d').getImageData(511, 124, 1, 1).data[0] > 200"
        found.wait(bright)
        server.event(Event("lost", "the microphone is gone <b>"))
        found.wait("document.getElementById('problem').textContent.includes('<b>')")
        server.event(Event("live", "listening"))
        found.wait("document.getElementById('problem').hidden")
    finally:
        server.close()
    found.wait("document.getElementById('status').textContent.includes('does not answer')")
    assert found.errors == []
    found.page.close()
