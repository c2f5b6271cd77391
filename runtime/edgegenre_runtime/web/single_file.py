"""``single.html``: the page with everything inside, for a double-click or an e-mail.

Browsers load no ES module and no ``fetch`` from ``file:``, so the modules are joined into one script: a module's
imports stand before it, and no two modules have a top-level name in common (a test holds them to it). What can go
without a change of meaning goes: comments, indentation, and the module for browsers without SIMD, since those that
can unpack the file have it but for a few years of Chrome.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping

from edgegenre_runtime.errors import BundleError

__all__ = ["join_modules", "shortened", "single_file"]

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|class|function) )", re.MULTILINE)
_RESOURCES = ("edgegenre.wasm", "mel.blob", "net.eg", "bundle.json", "capture.js")
_LINKS = re.compile(r'<link rel="(?:manifest|icon|apple-touch-icon)"[^>]*>\n')
_POLICY = re.compile(r'content="default-src[^"]*"')


def join_modules(files: Mapping[str, bytes], entry: str) -> str:
    """Return one script of an ES module and all that it imports, without its imports and exports.

    Raises
    ------
    BundleError
        If an import or export is left, as it is not of the form that the page's modules use.
    """
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        if name in parts:
            return
        text = files[name].decode()
        for imported in _IMPORT.findall(text):
            add(imported)
        parts[name] = _EXPORT.sub("", _IMPORT.sub("", text))

    add(entry)
    joined = "".join(parts.values())
    if re.search(r"^(?:import|export)\b", joined, re.MULTILINE):
        raise BundleError(f"{entry} cannot be joined into one file: an import or export in it has an unknown form")
    return joined


def shortened(script: str) -> str:
    """Return a script without the lines that are comments and without indentation.

    Raises
    ------
    BundleError
        If a template literal goes over a line's end, whose spaces would change.
    """
    lines = [line for text in script.splitlines() if (line := text.strip()) and not line.startswith("//")]
    if any(line.count("`") % 2 for line in lines):
        raise BundleError("a script of the page has a template literal of several lines, which cannot be shortened")
    return "".join(f"{line}\n" for line in lines)


def _packed(content: bytes) -> tuple[int, str]:
    """Return gzipped content as text of five characters for four bytes, and the gzip's length.

    The digits are those of Python's base85 but for ``<``, which could end a script element: a comma.
    """
    data = gzip.compress(content, 9, mtime=0)
    return len(data), base64.b85encode(data, pad=True).decode().replace("<", ",")


def _inline_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def single_file(files: Mapping[str, bytes]) -> bytes:
    """Return the page of :func:`.page.web_folder` as one file.

    Its policy allows the two inline parts by their hashes, page and worker, which are packed, as ``blob:``, the audio
    thread's script as ``data:``, and no connection at all.
    """
    script = shortened(join_modules(files, "single.js"))
    style = files["style.css"].decode()
    content = {name: files[name] for name in _RESOURCES}
    content |= {name: shortened(join_modules(files, name)).encode() for name in ("app.js", "worker.js")}
    packed = {name: _packed(data) for name, data in sorted(content.items())}
    policy = (
        f"default-src 'none'; script-src {_inline_hash(script)} 'wasm-unsafe-eval' blob: data:; "
        "worker-src blob: data:; "
        f"style-src {_inline_hash(style)}; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
    html = _POLICY.sub(lambda _: f'content="{policy}"', _LINKS.sub("", files["index.html"].decode()))
    html = html.replace('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>")
    inline = f'<script id="resources" type="application/json">{json.dumps(packed)}</script>\n'
    inline += f'<script type="module">{script}</script>'
    return html.replace('<script type="module" src="app.js"></script>', inline).encode()
