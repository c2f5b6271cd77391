"""What the engine does at once: pointwise steps on the network's input as a table, a maximum inside its convolution.

Both keep every bit. A table holds what the steps themselves answer for each of the 256 steps of an input. A maximum of
requantized sums is the requantized maximum of the sums, because requantization never falls.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ..arithmetic import requantize
from .program import CALLER, Kind, Program, Step

__all__ = ["MIN_POOLED_CELLS", "POOLS", "fuse"]

POOLS = (2, 4)
"""Columns of a maximum that a convolution takes."""
MIN_POOLED_CELLS = 8
"""A kernel holds so many cells at a time."""
_MAX_TABLE_BYTES = 2**16
_STEPS = np.arange(-128, 128, dtype=np.int8)


def fuse(program: Program) -> Program:
    """Fuse what can be; returns the same program, without the buffers that nobody makes any more."""
    _fold_pointwise(program)
    _fold_pools(program)
    _drop_unused(program)
    return program


@dataclasses.dataclass(frozen=True, slots=True)
class _Pointwise:
    """A buffer whose cells are each a function of one of the caller's: its copy, and int8 [256, channels]."""

    copy: Step
    table: npt.NDArray[np.int8]


def _fold_pointwise(program: Program) -> None:
    """Make buffers that depend on single cells of the input by one copy that looks them up."""
    known: dict[int, _Pointwise] = {}
    for step in program.steps:
        if (found := _pointwise(program, step, known)) is not None:
            known[step.output] = found
    read = {i for step in program.steps if step.output not in known for i in step.inputs} | program.results
    for i, step in enumerate(program.steps):
        if step.output in known and step.output in read and step.kind is not Kind.COPY:
            made = known[step.output]
            tables = made.table.T
            if (tables == tables[0]).all():
                tables = tables[:1]
            program.steps[i] = dataclasses.replace(made.copy, output=step.output, weights=tables)


def _pointwise(program: Program, step: Step, known: dict[int, _Pointwise]) -> _Pointwise | None:
    """Return what a step makes of each step of the input; None if its cells depend on several, or on more."""
    n_channels = program.buffers[step.output].channels
    if step.kind is Kind.COPY and step.inputs == (CALLER,) and n_channels * _STEPS.size <= _MAX_TABLE_BYTES:
        return _Pointwise(step, np.repeat(_STEPS[:, None], n_channels, axis=1))
    if any(i not in known for i in step.inputs) or step.kernel != (1, 1) or step.stride != (1, 1):
        return None
    given = [known[i] for i in step.inputs]
    if any(source.copy.numbers != given[0].copy.numbers for source in given):
        return None
    cells = _apply(program, step, [source.table.astype(np.int64) for source in given])
    return None if cells is None else _Pointwise(given[0].copy, cells.astype(np.int8))


def _apply(program: Program, step: Step, given: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.integer] | None:
    """Run a step on cells [256, channels]; None if it is none of one cell each."""
    zero_point, n_channels = program.buffers[step.output].zero_point, given[0].shape[1]
    if step.kind is Kind.DEPTHWISE and step.weights is not None and step.bias is not None and step.scales is not None:
        sums = step.bias[:n_channels] + step.weights[0, 0, :n_channels] * given[0]
        return requantize(sums, step.scales[:n_channels], zero_point, step.low, step.high)
    if step.kind is Kind.ADD:
        factor_a, factor_b, bias, shift = step.numbers
        sums = ((bias + given[0] * factor_a + given[1] * factor_b) >> shift) + zero_point
        return sums.clip(step.low, step.high)
    if step.kind is Kind.MAX:
        return given[0].clip(step.low, step.high)
    if step.kind is Kind.TABLE and step.weights is not None:
        return step.weights.take(given[0] + 128)
    return None


def _fold_pools(program: Program) -> None:
    """Have convolutions store the maximum over neighboring columns where nobody reads anything else."""
    makers = program.producers()
    for pool in [step for step in program.steps if step.kind is Kind.MAX]:
        (source,) = pool.inputs
        conv, columns = program.steps[makers[source]], pool.kernel[1]
        readers = [step for step in program.steps if source in step.inputs]
        is_alone = conv.kind is Kind.CONV and conv.pool == 1 and readers == [pool] and source not in program.results
        n_cells = program.buffers[pool.output].width * columns
        if not is_alone or columns not in POOLS or n_cells < MIN_POOLED_CELLS:
            continue
        if pool.kernel != (1, columns) or pool.stride != pool.kernel or pool.padding != (0, 0):
            continue
        conv.output, conv.pool = pool.output, columns
        conv.low, conv.high = (min(max(limit, pool.low), pool.high) for limit in (conv.low, conv.high))
        program.steps.remove(pool)
        makers = program.producers()


def _drop_unused(program: Program) -> None:
    """Remove the steps that nobody reads, and number the buffers anew."""
    used = set(program.results)
    for step in reversed(program.steps):
        if step.output in used:
            used.update(step.inputs)
    program.steps[:] = [step for step in program.steps if step.output in used]
    order = sorted(used - {CALLER})
    number = {CALLER: CALLER} | {old: new for new, old in enumerate(order)}
    program.buffers[:] = [program.buffers[i] for i in order]
    for step in program.steps:
        step.inputs, step.output = tuple(number[i] for i in step.inputs), number[step.output]
    program.output = number[program.output]
    program.embedding = None if program.embedding is None else number[program.embedding]
