"""``mqtt://…``: where the broker is, and Home Assistant's discovery messages for a topic."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import zlib
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlsplit

from edgegenre_runtime.errors import UsageError

__all__ = ["Broker", "discovery", "node_id", "parse_url"]

_PASSWORD_VARIABLE = "EDGEGENRE_MQTT_PASSWORD"  # noqa: S105  # the variable's name
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_MAX_TOPIC_BYTES = 500  # MQTT allows 65535 with what is appended
_MAX_LOGIN_BYTES = 65535
_USAGE = "--mqtt takes mqtt://[user[:password]@]host[:port][/topic], or mqtts:// for TLS"


@dataclasses.dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to speak to it.

    Attributes
    ----------
    host, port
        Its address.
    is_encrypted
        Whether TLS is spoken.
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
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
    except ValueError as error:  # UnicodeError of the host is one too
        raise UsageError(_USAGE) from error
    if parts.scheme not in _PORTS or not host or not url.isprintable() or "\\" in url:
        raise UsageError(_USAGE)
    if "?" in url or "#" in url:
        raise UsageError(f"{_USAGE}; a topic has no # and no ?, and a password has them as %23 and %3F")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    password = password or os.environ.get(_PASSWORD_VARIABLE, "")
    if max(len(user.encode("utf-8", "replace")), len(password.encode("utf-8", "replace"))) > _MAX_LOGIN_BYTES:
        raise UsageError(f"the user or the password for --mqtt is longer than {_MAX_LOGIN_BYTES} bytes")
    return Broker(
        host=host,
        port=port or _PORTS[parts.scheme],
        is_encrypted=parts.scheme == "mqtts",
        user=user or None,
        password=password or None,
        topic=_topic(unquote(parts.path).strip("/")),
    )


def _topic(path: str) -> str:
    """Return the topic of a URL's path; raises :class:`UsageError` where MQTT does not allow it."""
    topic = path or "edgegenre/" + re.sub(r"[^\w.-]", "_", socket.gethostname())
    if re.search(r"[+#]", topic) or not topic.isprintable():
        raise UsageError("the topic of --mqtt holds +, # or a control character, with which nothing can be published")
    if topic.startswith("$"):
        raise UsageError("the topic of --mqtt begins with $, which is the broker's own, as in $SYS: give another one")
    if len(topic.encode()) > _MAX_TOPIC_BYTES:
        raise UsageError(f"the topic of --mqtt has {len(topic.encode())} bytes; allowed are {_MAX_TOPIC_BYTES}")
    return topic


def node_id(topic: str) -> str:
    """Return an id for Home Assistant, of letters, digits, _ and -, that no other topic has."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", topic)
    return plain if plain == topic else f"{plain}_{zlib.crc32(topic.encode()):08x}"


def discovery(topic: str) -> dict[str, dict[str, Any]]:
    """Return Home Assistant's discovery messages by their topics: what is heard, by what, and what is wrong."""
    node = node_id(topic)
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
        "sensor/bundle": {
            "name": "Bundle",
            "icon": "mdi:package-variant",
            "entity_category": "diagnostic",
            "state_topic": f"{topic}/bundle",
            "value_template": "{{ value_json.version }}",
            "json_attributes_topic": f"{topic}/bundle",
        },
        "binary_sensor/problem": {
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": f"{topic}/health",
            "value_template": "{{ value_json.problem }}",
            "json_attributes_topic": f"{topic}/health",
            "payload_on": "on",
            "payload_off": "off",
        },
    }
    messages = {}
    for key, sensor in sensors.items():
        kind, name = key.split("/")
        messages[f"homeassistant/{kind}/{node}/{name}/config"] = {**common, **sensor, "unique_id": f"{node}_{name}"}
    return messages
