"""A plugin for beets: ``beet edgegenre QUERY`` says the genres of items, and writes them where it is asked to.

Works with the base install. In beets' configuration::

    plugins: edgegenre
    edgegenre:
        bundle: default     # folder, .zip or name
        auto: no            # classify what is imported
        force: no           # replace genres that are there
        min_confidence: 0.5
"""

from __future__ import annotations

import functools
import os
from typing import Any

from beets.plugins import BeetsPlugin
from beets.ui import Subcommand, print_

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import EdgeGenreError
from edgegenre_runtime.network.bundle_names import find_bundle

__all__ = ["EdgeGenrePlugin"]


class EdgeGenrePlugin(BeetsPlugin):
    """Genres by edgegenre; nothing is written without ``--write`` or ``auto: yes``."""

    def __init__(self) -> None:
        super().__init__("edgegenre")
        self.config.add({"bundle": "default", "auto": False, "force": False, "min_confidence": 0.5})
        if self.config["auto"].get(bool):
            self.import_stages = [self._imported]

    def commands(self) -> list[Subcommand]:
        """Return ``beet edgegenre``."""
        command = Subcommand("edgegenre", help="genres by the music itself")
        command.parser.add_option("-w", "--write", action="store_true", help="write the genres into library and files")
        command.parser.add_option("-f", "--force", action="store_true", help="replace genres that are there")
        command.func = self._run
        return [command]

    def _run(self, lib: Any, options: Any, arguments: list[str]) -> None:
        for item in lib.items(arguments):
            self._classify(item, write=bool(options.write), force=bool(options.force))

    def _imported(self, session: Any, task: Any) -> None:
        for item in task.imported_items():
            self._classify(item, write=True, force=False)

    def _classify(self, item: Any, *, write: bool, force: bool) -> None:
        name = os.fsdecode(item.path)
        try:
            answer = self._classifier.predict_file(name)
        except EdgeGenreError as error:
            self._log.warning("{}", error)
            return
        confidence = answer.probabilities.get(answer.label, 0.0)
        print_(f"{name}: {answer.label} {confidence:.2f}")
        if answer.label not in answer.probabilities:  # silence, noise, uncertain
            return
        if not write or confidence < self.config["min_confidence"].as_number():
            return
        if item.get("genres") and not (force or self.config["force"].get(bool)):
            return
        item["genres"] = [answer.label]
        item.try_write()
        item.store()

    @functools.cached_property
    def _classifier(self) -> GenreClassifier:
        return GenreClassifier.load(find_bundle(self.config["bundle"].as_str()))
