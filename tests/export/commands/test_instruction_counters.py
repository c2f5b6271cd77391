"""Counters of instructions come from other packages, by entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from edgegenre_export.commands import export

GROUP = "edgegenre.instruction_counters"


def count(model: Path) -> int:
    return len(model.name)


def ready() -> object:
    return count


def not_ready() -> None:
    return None


def offered(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    class Offered(EntryPoint):
        def load(self) -> object:
            if self.value == "missing":
                raise ModuleNotFoundError(name="qemu")
            return {"ready": ready, "not_ready": not_ready}[self.value]

    monkeypatch.setattr(export, "entry_points", lambda group: [Offered(name, name, group) for name in names])


def test_the_first_counter_that_is_ready_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, "missing", "not_ready", "ready")
    counter = export._instruction_counter()
    assert counter is not None
    assert counter(Path("net.tflite")) == 10


def test_without_a_counter_the_sweep_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(monkeypatch, "missing", "not_ready")
    assert export._instruction_counter() is None
    assert "instructions are not counted" in capsys.readouterr().err


def test_the_benches_offer_one() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    table = text.split(f'[project.entry-points."{GROUP}"]')[1].split("[")[0]
    assert "edgegenre_bench.emulate.network_instructions:ready_counter" in table
    from edgegenre_bench.emulate.network_instructions import ready_counter

    assert ready_counter() is None or callable(ready_counter())
