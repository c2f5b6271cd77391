"""``--mqtt``: answers to a broker, found by Home Assistant; a broker that is down or refuses stops nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.extras import import_extra
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import KEEPING_UP, Event
from edgegenre_runtime.live.reported_state import ReportedState
from edgegenre_runtime.tls import client_context

from .mqtt_address import discovery, parse_url
from .records import result_record

__all__ = ["MqttOutput"]

_RECONNECT_S = (1, 30)
_CONNECT_TIMEOUT_S = 5.0
_MAX_QUEUED = 50  # where a broker is connected and no longer acknowledges
_SUBJECTS = {"live": "microphone", "lost": "microphone", "zeros": "sound", "sound": "sound", "behind": "pace"}


class MqttOutput:
    """Publishes ``TOPIC/state`` (JSON), ``TOPIC/microphone`` (on, off) and ``TOPIC/availability`` (online, offline).

    For who looks after many devices also ``TOPIC/bundle`` (which release runs) and ``TOPIC/health`` (what is wrong).
    Everything is retained; the last will sets the availability to offline. While the broker is away answers are left
    out, not queued.

    Parameters
    ----------
    url
        As in :func:`.mqtt_address.parse_url`.
    source
        Name of the source.
    on_event
        Called, in paho's thread, with an event when the connection comes, goes or is refused.
    ca_file
        With ``mqtts://``: certificates of the authorities to trust, PEM; the system's by default.
    bundle
        What :func:`.records.bundle_record` says of the bundle.
    trouble
        What is wrong with the bundle, "" if nothing is.

    Raises
    ------
    UsageError
        If the URL is none, or the certificates cannot be read.
    MissingExtraError
        If paho-mqtt is not installed.
    """

    def __init__(
        self,
        url: str,
        source: str,
        on_event: Callable[[Event], None],
        ca_file: str | None = None,
        *,
        bundle: Mapping[str, Any] | None = None,
        trouble: str = "",
    ) -> None:
        self._broker, self._source, self._on_event = parse_url(url), source, on_event
        paho = import_extra("paho.mqtt.client", "mqtt", "paho-mqtt")
        enums = import_extra("paho.mqtt.enums", "mqtt", "paho-mqtt")
        self.name = f"MQTT broker {self._broker.host}:{self._broker.port}"
        self._connection = ReportedState()
        self._reported: set[str] = set()  # troubles since the last connection
        self._microphone, self._bundle = "off", dict(bundle or {})
        self._troubles = {"bundle": trouble} if trouble else {}
        client = paho.Client(enums.CallbackAPIVersion.VERSION2)
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.is_encrypted:
            client.tls_set_context(client_context(ca_file, "--mqtt-ca"))
        elif ca_file is not None:
            raise UsageError("--mqtt-ca is for TLS: give --mqtt as mqtts://…")
        client.will_set(f"{self._broker.topic}/availability", "offline", qos=1, retain=True)
        client.reconnect_delay_set(*_RECONNECT_S)
        client.max_queued_messages_set(_MAX_QUEUED)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.on_connect, client.on_connect_fail = self._connected, self._failed
        client.on_disconnect = self._disconnected
        client.connect_async(self._broker.host, self._broker.port, keepalive=30)
        self._client = client
        client.loop_start()

    def result(self, result: LiveResult) -> None:
        """Publish an answer."""
        state = {**result_record(result, self._source), "confidence": round(_confidence(result), 4)}
        self._publish("state", json.dumps(state))

    def event(self, event: Event) -> None:
        """Publish whether there is a microphone, and what is wrong."""
        before = dict(self._troubles)
        self._note_trouble(event)
        if self._troubles != before:
            self._publish("health", self._health())
        if event.kind in ("live", "lost", "ended"):
            self._microphone = "on" if event.kind == "live" else "off"
            self._publish("microphone", self._microphone)

    def _note_trouble(self, event: Event) -> None:
        subject = _SUBJECTS.get(event.kind)
        if subject is None:
            return
        if event.kind in ("live", "sound") or event.message == KEEPING_UP:
            self._troubles.pop(subject, None)
        else:
            self._troubles[subject] = event.message

    def _health(self) -> str:
        troubles = list(self._troubles.values())
        return json.dumps({"problem": "on" if troubles else "off", "troubles": troubles})

    def close(self) -> None:
        """Publish that the program ends, and end paho's thread; one that hangs in connecting is left behind."""
        was_connected = self._client.is_connected()
        last = self._publish("availability", "offline")
        if last is not None:
            last.wait_for_publish(0.5)
        self._client.on_disconnect = None
        self._client.disconnect()
        stopper = threading.Thread(target=self._client.loop_stop, name="edgegenre-mqtt-stop", daemon=True)
        stopper.start()
        stopper.join(0.5 if was_connected else 0.1)

    def _publish(self, name: str, payload: str) -> Any:
        if self._client.is_connected():
            return self._client.publish(f"{self._broker.topic}/{name}", payload, qos=1, retain=True)
        return None

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._report_trouble(f"{self.name} refuses: {str(reason).lower()}; trying again")
            return
        for topic, message in discovery(self._broker.topic).items():
            client.publish(topic, json.dumps(message), qos=1, retain=True)
        client.publish(f"{self._broker.topic}/availability", "online", qos=1, retain=True)
        client.publish(f"{self._broker.topic}/microphone", self._microphone, qos=1, retain=True)
        client.publish(f"{self._broker.topic}/bundle", json.dumps(self._bundle), qos=1, retain=True)
        client.publish(f"{self._broker.topic}/health", self._health(), qos=1, retain=True)
        if self._connection.update(True):
            self._reported.clear()
            self._on_event(Event("output", f"{self.name}: connected"))

    def _failed(self, _client: Any, _data: Any) -> None:
        why = ", or its certificate is not trusted (see --mqtt-ca)" if self._broker.is_encrypted else ""
        self._report_trouble(f"{self.name} cannot be reached{why}; trying again")

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._connection.update(False):
            self._on_event(Event("output", f"{self.name}: connection lost ({str(reason).lower()}); trying again"))

    def _report_trouble(self, message: str) -> None:
        if message not in self._reported:
            self._reported.add(message)
            self._on_event(Event("output", message))


def _confidence(result: LiveResult) -> float:
    """Return the probability of the answer's least probable label, else the largest one, else 0."""
    if result.labels:
        return min(result.probabilities[label] for label in result.labels)
    return max(result.probabilities.values(), default=0.0)
