"""``--mqtt``: answers to a broker, found by Home Assistant; a broker that is down or says no stops nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlsplit

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.extras import import_extra
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event

from .records import result_record

__all__ = ["Broker", "MqttOutput", "discovery", "parse_url"]

_PASSWORD_VARIABLE = "EDGEGENRE_MQTT_PASSWORD"  # noqa: S105  # the variable's name
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_RECONNECT_S = (1, 30)
_CONNECT_TIMEOUT_S = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to speak to it.

    Attributes
    ----------
    host, port
        Its address.
    is_encrypted
        Whether TLS is spoken; the system's certificates decide whom to trust.
    user, password
        How to log in; no user means that none is needed.
    topic
        What all topics begin with, e.g. ``edgegenre/kitchen``.
    """

    host: str
    port: int
    is_encrypted: bool
    user: str | None
    password: str | None = dataclasses.field(repr=False)
    topic: str


def parse_url(url: str) -> Broker:
    """Return the broker of ``mqtt://user:password@host:port/topic`` (``mqtts`` for TLS).

    The password may stand in ``$EDGEGENRE_MQTT_PASSWORD`` instead, where no list of processes shows it. The topic is
    ``edgegenre/HOSTNAME`` where none is given.

    Raises
    ------
    UsageError
        If it is no such URL; the message does not repeat it, for it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname or re.search(r"[+#\x00]", unquote(parts.path) + url[-1:]):
        raise UsageError("--mqtt takes mqtt://[user[:password]@]host[:port][/topic], or mqtts:// for TLS")
    node = re.sub(r"[^A-Za-z0-9_-]", "_", socket.gethostname())
    return Broker(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        is_encrypted=parts.scheme == "mqtts",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else os.environ.get(_PASSWORD_VARIABLE),
        topic=unquote(parts.path).strip("/") or f"edgegenre/{node}",
    )


def discovery(topic: str) -> dict[str, dict[str, Any]]:
    """Return Home Assistant's discovery messages by their topics: genre, confidence, level and microphone."""
    node = re.sub(r"[^A-Za-z0-9_-]", "_", topic)
    common = {
        "availability_topic": f"{topic}/availability",
        "device": {"identifiers": [node], "name": topic, "model": "edgegenre-run", "sw_version": version("edgegenre")},
    }
    state = f"{topic}/state"
    sensors: dict[str, dict[str, Any]] = {
        "sensor/genre": {
            "name": "Genre",
            "icon": "mdi:music",
            "state_topic": state,
            "value_template": "{{ value_json.label }}",
            "json_attributes_topic": state,
        },
        "sensor/confidence": {
            "name": "Confidence",
            "state_topic": state,
            "value_template": "{{ (value_json.confidence * 100) | round(0) }}",
            "unit_of_measurement": "%",
        },
        "sensor/level": {
            "name": "Level",
            "state_topic": state,
            "value_template": "{{ value_json.level_dbfs }}",
            "unit_of_measurement": "dB",
        },
        "binary_sensor/microphone": {
            "name": "Microphone",
            "state_topic": f"{topic}/microphone",
            "device_class": "connectivity",
            "payload_on": "on",
            "payload_off": "off",
        },
    }
    messages = {}
    for key, sensor in sensors.items():
        kind, name = key.split("/")
        messages[f"homeassistant/{kind}/{node}/{name}/config"] = {
            **common,
            **sensor,
            "unique_id": f"{node}_{name}",
        }
    return messages


class MqttOutput:
    """Publishes ``TOPIC/state`` (JSON), ``TOPIC/microphone`` (on, off) and ``TOPIC/availability`` (online, offline).

    Everything is retained; the last will sets the availability to offline. While the broker is away answers are left
    out, not queued.

    Parameters
    ----------
    url
        As in :func:`parse_url`.
    source
        Name of the source.
    on_event
        Called, in paho's thread, with an event when the connection comes, goes or is refused.

    Raises
    ------
    UsageError
        If the URL is none.
    MissingExtraError
        If paho-mqtt is not installed.
    """

    def __init__(self, url: str, source: str, on_event: Callable[[Event], None]) -> None:
        self._broker, self._source, self._on_event = parse_url(url), source, on_event
        paho = import_extra("paho.mqtt.client", "mqtt", "paho-mqtt")
        self._where = f"MQTT broker {self._broker.host}:{self._broker.port}"
        self.name = self._where
        self._last_message = ""
        self._microphone = "off"
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.is_encrypted:
            client.tls_set()
        client.will_set(f"{self._broker.topic}/availability", "offline", qos=1, retain=True)
        client.reconnect_delay_set(*_RECONNECT_S)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.on_connect, client.on_connect_fail = self._connected, self._failed
        client.on_disconnect = self._disconnected
        client.connect_async(self._broker.host, self._broker.port, keepalive=30)
        self._client = client
        client.loop_start()

    def result(self, result: LiveResult) -> None:
        """Publish an answer."""
        confidence = round(max(result.probabilities.values(), default=0.0), 4)
        self._publish("state", json.dumps({**result_record(result, self._source), "confidence": confidence}))

    def event(self, event: Event) -> None:
        """Publish whether there is a microphone."""
        if event.kind in ("live", "lost", "ended"):
            self._microphone = "on" if event.kind == "live" else "off"
            self._publish("microphone", self._microphone)

    def close(self) -> None:
        """Say goodbye, and end paho's thread; one that hangs in connecting is left behind."""
        was_connected = self._client.is_connected()
        said = self._publish("availability", "offline")
        if said is not None:
            said.wait_for_publish(0.5)
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
            self._report_once(f"{self._where} refuses: {str(reason).lower()}; trying again")
            return
        for topic, message in discovery(self._broker.topic).items():
            client.publish(topic, json.dumps(message), qos=1, retain=True)
        client.publish(f"{self._broker.topic}/availability", "online", qos=1, retain=True)
        client.publish(f"{self._broker.topic}/microphone", self._microphone, qos=1, retain=True)
        self._report_once(f"{self._where}: connected")

    def _failed(self, _client: Any, _data: Any) -> None:
        self._report_once(f"{self._where} cannot be reached; trying again")

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._last_message.endswith("connected"):
            self._report_once(f"{self._where}: connection lost ({str(reason).lower()}); trying again")

    def _report_once(self, message: str) -> None:
        if message != self._last_message:
            self._last_message = message
            self._on_event(Event("output", message))
