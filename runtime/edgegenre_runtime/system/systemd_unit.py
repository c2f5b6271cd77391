"""``--install-service``: a systemd unit that runs ``edgegenre-run`` as a user of its own that may do little."""

from __future__ import annotations

import argparse
import os
import shlex
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, UsageError

__all__ = ["install", "unit_text"]

_FLAG = "--install-service"
_SECRETS = "/etc/edgegenre.env"
_LOGS, _STATE = Path("/var/log/edgegenre"), Path("/var/lib/edgegenre")

_UNIT = """\
# Written by edgegenre-run --install-service.
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

# a user of its own, which may record
DynamicUser=yes
SupplementaryGroups=audio
DevicePolicy=closed
DeviceAllow=char-alsa rw

# memory: some 60 MB are used; nothing may grow
MemoryHigh=150M
MemoryMax=200M
TasksMax=32

# a file system that it may read and not write, but for two folders of its user
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
        after=" network-online.target\nWants=network-online.target" if uses_network else "",
        command=" ".join(_quoted(word) for word in command),
        secrets=_SECRETS,
        network_note="the network that MQTT or the page needs" if uses_network else "no network",
        network=network,
    )


def install(argv: Sequence[str], options: argparse.Namespace) -> Iterator[str]:
    """Write the unit, or yield it where the file is ``-``; yields what to do next, line by line.

    Parameters
    ----------
    argv
        Arguments of the command line, of which ``--install-service`` is left out of the unit.
    options
        What they were parsed to.

    Raises
    ------
    UsageError
        If the options do not listen to a microphone, hold a password or name a file that the service could not
        write, or the unit cannot be written.
    """
    if options.mqtt and "@" in options.mqtt and ":" in options.mqtt.rpartition("@")[0].partition("//")[2]:
        raise UsageError(
            f"a unit is readable by everyone, so the password does not go into it: leave it out of the URL and write  "
            f"EDGEGENRE_MQTT_PASSWORD=…  into {_SECRETS} (mode 600)"
        )
    for name, folder, path in (("--log", _LOGS, options.log), ("--save-clips", _STATE, options.save_clips)):
        if path is not None and folder not in (Path(path).absolute(), *Path(path).absolute().parents):
            raise UsageError(f"the service's user may write in {folder} alone: give {name} a path in there, not {path}")
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
    hidden = _hidden_folder(Path(command[0]))
    if hidden is not None:
        yield f"note: {hidden} is closed to other users, so the service cannot start: install into /opt/edgegenre"
    yield f"start it with:  sudo systemctl daemon-reload && sudo systemctl enable --now {name}"


def _without_flag(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    at = next(i for i, word in enumerate(words) if word.partition("=")[0] == _FLAG)
    takes_next = words[at] == _FLAG and at + 1 < len(words) and (words[at + 1] == "-" or words[at + 1][0] != "-")
    del words[at : at + 1 + takes_next]
    return words


def _absolute(words: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Return the words with paths made absolute, since a service starts in ``/``."""
    given = {str(path) for path in (options.bundle, options.log, options.save_clips) if path is not None}
    changed = []
    for word in words:
        name, equals, value = word.partition("=")
        if word in given:
            changed.append(str(Path(word).absolute()))
        elif equals and value in given:
            changed.append(f"{name}={Path(value).absolute()}")
        else:
            changed.append(word)
    return changed


def _quoted(word: str) -> str:
    """Return a word as systemd reads it: its specifiers and variables escaped, quoted where needed."""
    escaped = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    if escaped and shlex.quote(word) == word:
        return escaped
    return '"' + escaped.replace('"', '\\"').replace("\n", "\\n") + '"'


def _write(path: Path, text: str) -> None:
    try:
        with written_beside(path, mode=0o644) as file:
            file.write(text.encode())
    except DataError as error:
        raise UsageError(f"{error}: run it with sudo, or print the unit with  --install-service -") from error


def _hidden_folder(path: Path) -> Path | None:
    """Return the first folder above ``path`` that other users may not enter, or None."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None
