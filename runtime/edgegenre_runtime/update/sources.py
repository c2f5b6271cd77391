"""Where an update comes from: a folder, a ``.zip``, or one of the two over HTTPS. Every read is bounded."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.network.bundle_files import fetch_file, reason_of
from edgegenre_runtime.tls import client_context

__all__ = ["MAX_BUNDLE_BYTES", "Reader", "check_source", "open_source"]

MAX_BUNDLE_BYTES = 512 << 20
_CHUNK_BYTES = 256 << 10
_TIMEOUT_S, _TOTAL_S = 30.0, 1800.0

Reader = Callable[[str, int], bytes]
"""Returns the first bytes of a file of the bundle, by its name and how many at most."""


def check_source(given: str, ca_file: str | None) -> None:
    """Refuse what no update is fetched from; raises :class:`UsageError`."""
    if "://" not in given:
        if ca_file is not None:
            raise UsageError("--update-ca is for --update https://…, which was not given")
        return
    parts = urlsplit(given)
    if parts.scheme != "https" or not parts.hostname or not given.isprintable() or " " in given:
        raise UsageError(f"--update takes https://HOST/FOLDER, https://HOST/….zip, a folder or a .zip, not {given!r}")
    if parts.username is not None or parts.fragment or (parts.query and not parts.path.endswith(".zip")):
        raise UsageError("the URL of --update has a password, a # or a ?: a bundle's folder is fetched without them")


@contextlib.contextmanager
def open_source(given: str, ca_file: str | None, work: Path) -> Iterator[Reader]:
    """Yield what reads the files of a bundle there.

    Parameters
    ----------
    given
        Folder, ``.zip`` or https URL of one (:func:`check_source`).
    ca_file
        Certificates of the authorities to trust, PEM; the system's by default.
    work
        Folder of its own, in which an archive is put while it is read.

    Raises
    ------
    BundleError
        Here or from the reader: it is not there, the server cannot be reached or trusted, sends too much or too
        little, or leads away from https.
    UsageError
        If the certificates cannot be read.
    """
    if "://" not in given:
        yield lambda name, limit: fetch_file(Path(given), name, limit)
        return
    opener = _opener(client_context(ca_file, "--update-ca"))
    deadline = time.monotonic() + _TOTAL_S
    if not urlsplit(given).path.endswith(".zip"):
        folder = given.rstrip("/")
        yield lambda name, limit: b"".join(_blocks(opener, f"{folder}/{name}", limit, deadline, whole=False))
        return
    archive = work / "update.zip"
    with _created(archive) as file:
        for block in _blocks(opener, given, MAX_BUNDLE_BYTES, deadline, whole=True):
            file.write(block)
    try:
        yield lambda name, limit: fetch_file(archive, name, limit)
    finally:
        with contextlib.suppress(OSError):
            archive.unlink()


@contextlib.contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "xb") as file:
            yield file
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise BundleError(
            f"the new bundle cannot be written ({reason_of(error)}): nothing was changed; free some space"
        ) from error
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise BundleError(
                f"{req.full_url} redirects to an address that is not https: nothing was fetched from there"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(context: ssl.SSLContext) -> urllib.request.OpenerDirector:
    """Return what opens https URLs and no others."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _HttpsRedirects(),
    ):
        opener.add_handler(handler)
    return opener


def _blocks(
    opener: urllib.request.OpenerDirector, url: str, limit_bytes: int, deadline: float, *, whole: bool
) -> Iterator[bytes]:
    """Yield what a server sends, up to a limit; more than that is refused if the whole is asked for."""
    n_bytes, announced = 0, None
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            announced = answer.headers.get("Content-Length")
            while n_bytes < limit_bytes and (block := answer.read(min(_CHUNK_BYTES, limit_bytes - n_bytes))):
                n_bytes += len(block)
                if time.monotonic() > deadline:
                    raise BundleError(f"{url}: not finished after {_TOTAL_S:.0f} s: nothing was changed")
                yield block
            if whole and n_bytes == limit_bytes and answer.read(1):
                raise BundleError(f"{url} is larger than {limit_bytes} bytes: it is no bundle")
    except BundleError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise BundleError(f"{url} cannot be fetched ({_why(error)}): nothing was changed; try again later") from error
    if announced is not None and announced.isdecimal() and n_bytes < min(int(announced), limit_bytes):
        raise BundleError(f"{url}: the connection was cut after {n_bytes} of {announced} bytes: nothing was changed")


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {str(reason).lower()}"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted, {reason.verify_message}; see --update-ca"
    return reason_of(reason) if isinstance(reason, Exception) else str(reason).lower()
