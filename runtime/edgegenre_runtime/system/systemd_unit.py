"""``--install-service``: a systemd unit that runs ``edgegenre-run`` as a dedicated, sandboxed user."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.network.bundle_names import find_bundle

__all__ = ["install", "unit_text"]

_FLAG = "--install-service"
_MARK = "# Written by edgegenre-run --install-service."
_FIRST_FREE_PORT = 1024
_PRIVATE = ("/tmp", "/var/tmp", "/run/user")  # noqa: S108  # the service does not see these
_SECRETS = "/etc/edgegenre.env"
_LOGS, _STATE = Path("/var/log/edgegenre"), Path("/var/lib/edgegenre")

_UNIT = """\
{mark}
[Unit]
Description=edgegenre-run: what music is playing?
Documentation=https://pypi.org/project/edgegenre/
After=sound.target{after}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
EnvironmentFile=-{secrets}
WatchdogSec=30
Restart=always
RestartSec=2
TimeoutStopSec=5

# a dedicated user, which may record
DynamicUser=yes
SupplementaryGroups=audio
DevicePolicy=closed
DeviceAllow=char-alsa rw

# memory: some 60 MB are used, and it does not grow
MemoryHigh=150M
MemoryMax=200M
TasksMax=64

# a read-only file system, but for two folders of its user
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
LogsDirectory=edgegenre
StateDirectory=edgegenre

# {network_note}
{network}
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0022

[Install]
WantedBy=multi-user.target
"""


def unit_text(command: Sequence[str], *, uses_network: bool) -> str:
    """Return the unit.

    Parameters
    ----------
    command
        The program, absolute, and its arguments.
    uses_network
        Whether it may speak to more than this machine's sockets.
    """
    families = "AF_UNIX AF_INET AF_INET6" if uses_network else "AF_UNIX"
    network = f"RestrictAddressFamilies={families}\n" + ("" if uses_network else "PrivateNetwork=yes\n")
    return _UNIT.format(
        mark=_MARK,
        after=" network-online.target\nWants=network-online.target" if uses_network else "",
        command=" ".join(_quoted(word) for word in command),
        secrets=_SECRETS,
        network_note="the network that MQTT or the page needs" if uses_network else "no network",
        network=network,
    )


def install(argv: Sequence[str], options: argparse.Namespace, http_port: int = 0) -> Iterator[str]:
    """Write the unit, or yield it where the file is ``-``; yields what to do next, line by line.

    Parameters
    ----------
    argv
        Arguments of the command line, of which ``--install-service`` is left out of the unit.
    options
        What they were parsed to; they listen to a microphone.
    http_port
        The port of ``--http``, or 0.

    Raises
    ------
    UsageError
        If the unit could not start: it would need a password, a port or a file that the service's user may not have;
        or if it cannot be written, or would replace a file that is not such a unit.
    """
    _check_options(options, http_port)
    program = Path(sys.argv[0]).resolve()
    command = [str(program), *_absolute(_without_flag(argv), options)]
    if not os.access(program, os.X_OK):
        command[:1] = [sys.executable, "-m", "edgegenre_runtime.run"]
    text = unit_text(command, uses_network=bool(options.mqtt or options.http))
    if options.install_service == "-":
        yield text.rstrip("\n")
        return
    _write(Path(options.install_service), text)
    yield f"{options.install_service}: written"
    name = Path(options.install_service).name
    obstacle = _obstacle(Path(command[0]))
    if obstacle:
        yield f"note: {obstacle}, so the service cannot start: install into /opt/edgegenre"
    yield f"start it with:  sudo systemctl daemon-reload && sudo systemctl enable --now {name}"


def _check_options(options: argparse.Namespace, http_port: int) -> None:
    if options.mqtt and "@" in options.mqtt and ":" in options.mqtt.rpartition("@")[0].partition("//")[2]:
        raise UsageError(
            f"a unit is readable by everyone, so the password does not go into it: leave it out of the URL and write  "
            f"EDGEGENRE_MQTT_PASSWORD=…  into {_SECRETS} (mode 600)"
        )
    if 0 < http_port < _FIRST_FREE_PORT:
        raise UsageError(
            f"--http {options.http}: the service's user may not open ports below {_FIRST_FREE_PORT}: give another"
        )
    for name, folder, path in (("--log", _LOGS, options.log), ("--save-clips", _STATE, options.save_clips)):
        if path is not None and folder not in (absolute := Path(os.path.abspath(path)), *absolute.parents):
            raise UsageError(f"the service's user may write in {folder} alone: give {name} a path in there, not {path}")
    keys = [("--trust", key) for key in options.trust or ()]
    for name, path in (("--bundle", _bundle_path(options)), ("--mqtt-ca", options.mqtt_ca), *keys):
        obstacle = _obstacle(Path(path)) if path is not None else ""
        if obstacle:
            raise UsageError(f"{name} {path}: {obstacle}, so the service cannot read it: copy it into /opt/edgegenre")


def _without_flag(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    at = next(i for i, word in enumerate(words) if word.partition("=")[0] == _FLAG)
    takes_next = words[at] == _FLAG and at + 1 < len(words) and (words[at + 1] == "-" or words[at + 1][0] != "-")
    del words[at : at + 1 + takes_next]
    return words


def _absolute(words: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Return the words with paths made absolute, since a service starts in ``/`` and has another home."""
    paths = (options.log, options.save_clips, options.mqtt_ca, *(options.trust or ()))
    given = {str(Path(path)): str(Path(path).absolute()) for path in paths if path is not None}
    if (bundle := _bundle_path(options)) is not None:
        given[str(options.bundle)] = str(bundle.absolute())
    changed = []
    for word in words:
        name, equals, value = word.partition("=")
        if str(Path(word)) in given:  # ./a is a
            changed.append(given[str(Path(word))])
        elif equals and str(Path(value)) in given:
            changed.append(f"{name}={given[str(Path(value))]}")
        else:
            changed.append(word)
    return changed


def _bundle_path(options: argparse.Namespace) -> Path | None:
    return None if options.bundle is None else find_bundle(options.bundle)


def _quoted(word: str) -> str:
    """Return a word as systemd reads it: its specifiers and variables escaped, quoted where needed."""
    escaped = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    if escaped and shlex.quote(word) == word:
        return escaped
    return '"' + escaped.replace('"', '\\"').replace("\n", "\\n") + '"'


def _write(path: Path, text: str) -> None:
    try:
        with contextlib.suppress(FileNotFoundError):
            if not path.read_bytes().startswith(_MARK.encode()):
                raise UsageError(f"{path} is there and was not written by edgegenre-run: give another FILE")
        with written_beside(path, 0o644) as file:
            file.write(text.encode())
    except (OSError, DataError) as error:
        reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise UsageError(
            f"{path} cannot be written ({(getattr(reason, 'strerror', None) or str(reason)).lower()}): run it with "
            "sudo, or print the unit with  --install-service -"
        ) from error


def _obstacle(path: Path) -> str:
    """Return why the service's user, with a private /tmp, cannot read a path and what lies in it, or ""."""
    path = Path(os.path.realpath(path))
    for private in _PRIVATE:
        if path.is_relative_to(private):
            return f"{private} is not the service's"
    try:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                return f"{folder} is closed to other users"
        for part in (path, *(path.rglob("*") if stat.S_ISDIR(path.stat().st_mode) else ())):
            mode = part.stat().st_mode
            if not mode & stat.S_IROTH or (stat.S_ISDIR(mode) and not mode & stat.S_IXOTH):
                return f"{part} is closed to other users"
    except OSError as error:
        return f"{error.filename or path} cannot be read ({(error.strerror or str(error)).lower()})"
    return ""
