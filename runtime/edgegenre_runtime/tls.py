"""TLS of a client: which authorities it trusts."""

from __future__ import annotations

import ssl

from .errors import UsageError

__all__ = ["client_context"]


def client_context(ca_file: str | None, option: str) -> ssl.SSLContext:
    """Return a context that checks certificates and host names.

    Parameters
    ----------
    ca_file
        Certificates of the authorities to trust, PEM; None for the system's.
    option
        The option that named it, for the message.

    Raises
    ------
    UsageError
        If the certificates cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = "no PEM certificates" if isinstance(error, ssl.SSLError) else _words(error)
        raise UsageError(f"{option} {ca_file} cannot be read ({reason})") from error


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
