"""The plan of a program: which outputs are made whole, how many rows of the others are kept, where all of it lies.

A step is asked for a row and asks the steps before it for the rows that it needs (``produce`` in
``edgegenre_net.c`` does the same), so that expand → depthwise → project run row by row and only a few rows of the
widest tensors ever exist. A maximum takes the rows of its window one after the other, so that of what it reads one row
is there at a time, or those that its next window takes again. A barrier makes its output whole first. Rings are
measured by running the rows; barriers are chosen by trying them and keeping what makes the arena smaller. With a
barrier after every step, tensors live no longer than they are read: that is what networks of one row, 1-D over time,
take.
"""

from __future__ import annotations

import dataclasses
import functools

from .program import CALLER, Buffer, Kind, Program, Step

__all__ = ["plan", "rows_needed"]

_ALIGN = 16
_SLACK = 32
"""Bytes behind a buffer that a kernel may read, never write."""


def rows_needed(step: Step, image: Buffer | None, position: int, row: int) -> tuple[int, int]:
    """Return the first and last row of an input that an output row needs.

    Parameters
    ----------
    step
        The step.
    image
        The input's buffer; None for the caller's memory.
    position
        Which input.
    row
        The output row.
    """
    if image is None:
        return 0, -1
    if step.kind is Kind.COPY:
        return 0, image.height - 1
    if step.kind is Kind.CONCATENATE and step.numbers[0] == 0:
        return 0, image.height - 1
    if step.kind in (Kind.ADD, Kind.CONCATENATE, Kind.TABLE):
        return row, row
    first = row * step.stride[0] - step.padding[0]
    return max(0, first), min(image.height - 1, first + step.kernel[0] - 1)


@dataclasses.dataclass(frozen=True, slots=True)
class _Rings:
    """Rows kept of each buffer that the steps ``first`` to ``last`` make, and who may take over whose memory."""

    rows: tuple[tuple[int, int], ...]
    shares: tuple[tuple[int, int], ...]


class _Planner:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.made_by = program.producers()
        self.read_by: dict[int, list[int]] = {i: [] for i in range(len(program.buffers))}
        for i, step in enumerate(program.steps):
            for source in set(step.inputs) - {CALLER}:
                self.read_by[source].append(i)
        self.segment = functools.cache(self._segment)
        self._at: dict[int, int] = {}
        """The row of its input that a maximum is about to take."""

    def _segment(self, first: int, last: int) -> _Rings:
        """Run the steps ``first`` to ``last`` for the whole output of the last, all before being whole."""
        self._at.clear()
        done = dict.fromkeys(range(first, last + 1), 0)
        kept = {self.program.steps[i].output: 1 for i in done}
        candidates = {i: k for i in done for k in self._takeovers(i, first, last)}
        self._produce(last, self._image(last).height - 1, done, kept, candidates)
        for buffer in list(kept):
            if (
                buffer in self.program.results
                or any(i > last for i in self.read_by[buffer])
                or self.made_by[buffer] == last
            ):
                kept[buffer] = self.program.buffers[buffer].height
        return _Rings(tuple(kept.items()), tuple(candidates.items()))

    def _image(self, step: int) -> Buffer:
        return self.program.buffers[self.program.steps[step].output]

    def _takeovers(self, index: int, first: int, last: int) -> list[int]:
        """Return the input whose memory the addition that ends a segment may take over, as far as shapes tell."""
        step = self.program.steps[index]
        if step.kind is not Kind.ADD or index != last:
            return []
        target = self.program.buffers[step.output]
        for position, source in enumerate(step.inputs):
            image = self.program.buffers[source]
            is_plain = not (image.left or image.right or image.has_zero_row or target.left or target.right)
            is_over = max(self.read_by[source]) <= last and not target.has_zero_row
            is_over &= source not in self.program.results
            if is_plain and is_over and self.made_by[source] < first and source != step.inputs[1 - position]:
                return [position]
        return []

    def _produce(
        self, index: int, last: int, done: dict[int, int], kept: dict[int, int], takes: dict[int, int]
    ) -> None:
        if index not in done:
            return  # whole since an earlier segment
        step = self.program.steps[index]
        while done[index] <= last:
            row = done[index]
            for position, source in enumerate(step.inputs):
                if source == CALLER:
                    continue
                first, last_needed = rows_needed(step, self.program.buffers[source], position, row)
                for at in range(first, last_needed) if step.kind is Kind.MAX else ():
                    self._at[index] = at
                    self._produce(self.made_by[source], at, done, kept, takes)
                    self._keep(index, done, kept)
                self._at[index] = last_needed
                self._produce(self.made_by[source], last_needed, done, kept, takes)
            self._keep(index, done, kept)
            self._at.pop(index, None)
            done[index] += 1
            if index in takes:
                source = step.inputs[takes[index]]
                if self._oldest(source, done) <= row:
                    del takes[index]

    def _keep(self, index: int, done: dict[int, int], kept: dict[int, int]) -> None:
        """Note how many rows of a step's inputs are there at once when it makes its next row."""
        for source in self.program.steps[index].inputs:
            if source in kept:
                newest = done[self.made_by[source]] - 1
                kept[source] = max(kept[source], newest - self._oldest(source, done) + 1)

    def _oldest(self, source: int, done: dict[int, int]) -> int:
        """Return the oldest row of a buffer that a step still needs; its height if none does."""
        image = self.program.buffers[source]
        oldest = image.height
        for i in self.read_by[source]:
            if i not in done:
                if i > max(done):
                    return 0
                continue
            step, height = self.program.steps[i], self._image(i).height
            positions = [position for position, taken in enumerate(step.inputs) if taken == source]
            if done[i] < height and step.kind is Kind.MAX and i in self._at:  # of this window, it took the rows above
                oldest = min(oldest, self._at[i])
                positions = positions if done[i] + 1 < height else []
                oldest = min([oldest, *(rows_needed(step, image, p, done[i] + 1)[0] for p in positions)])
            elif done[i] < height:
                oldest = min([oldest, *(rows_needed(step, image, p, done[i])[0] for p in positions)])
        return oldest

    def place(self, barriers: frozenset[int]) -> tuple[int, dict[int, int], dict[int, int], dict[int, int]]:
        """Return the arena's bytes, each buffer's rows and offset, and each step's takeover, for a set of barriers."""
        rows: dict[int, int] = {}
        phase: dict[int, int] = {}
        shares: dict[int, int] = {}
        first = 0
        for number, last in enumerate(sorted(barriers)):
            rings = self.segment(first, last)
            rows.update(rings.rows)
            shares.update(rings.shares)
            phase.update(dict.fromkeys(range(first, last + 1), number))
            first = last + 1
        owner = {i: i for i in range(len(self.program.buffers))}
        for index, position in shares.items():
            step = self.program.steps[index]
            source = step.inputs[position]
            if rows.get(source) == self.program.buffers[source].height:
                owner[step.output] = owner[source]
        shares = {
            i: p for i, p in shares.items() if owner[self.program.steps[i].output] != self.program.steps[i].output
        }
        return *self._fit(rows, phase, owner), shares

    def _fit(
        self, rows: dict[int, int], phase: dict[int, int], owner: dict[int, int]
    ) -> tuple[int, dict[int, int], dict[int, int]]:
        """Give every buffer the lowest place that is free while it lives, the largest first."""
        life: dict[int, list[int]] = {}
        for buffer, root in owner.items():
            times = [phase[self.made_by[buffer]], *(phase[i] for i in self.read_by[buffer])]
            if buffer in self.program.results:
                times.append(max(phase.values()))
            span = life.setdefault(root, [times[0], times[0]])
            span[0], span[1] = min(span[0], *times), max(span[1], *times)
        sizes = {i: self._bytes(i, rows[i]) for i in life}
        offsets: dict[int, int] = {}
        for buffer in sorted(life, key=lambda i: (-sizes[i], i)):
            at = 0
            rivals = (i for i in offsets if life[i][0] <= life[buffer][1] and life[buffer][0] <= life[i][1])
            for start, end in sorted((offsets[i], offsets[i] + sizes[i]) for i in rivals):
                if at + sizes[buffer] <= start:
                    break
                at = max(at, end)
            offsets[buffer] = at
        total = max((offsets[i] + sizes[i] for i in offsets), default=0)
        return total, rows, {i: offsets[root] for i, root in owner.items()}

    def _bytes(self, buffer: int, rows: int) -> int:
        image = self.program.buffers[buffer]
        n_bytes = (rows + image.has_zero_row) * image.row_bytes + _SLACK
        return -(-n_bytes // _ALIGN) * _ALIGN

    def cuts(self) -> list[int]:
        """Return the steps after which one tensor alone is alive: where a barrier costs the least."""
        found = []
        for i in range(len(self.program.steps) - 1):
            alive = [
                b
                for b, readers in self.read_by.items()
                if self.made_by[b] <= i and any(reader > i for reader in readers)
            ]
            if alive == [self.program.steps[i].output]:
                found.append(i)
        return found

    def streamed(self) -> set[int]:
        """Return the steps whose rows only a maximum takes, right behind them, one after the other."""
        steps = self.program.steps
        return {
            i
            for i, step in enumerate(steps[:-1])
            if steps[i + 1].kind is Kind.MAX and steps[i + 1].kernel[0] > 1 and self.read_by[step.output] == [i + 1]
        } - {self.made_by[result] for result in self.program.results}

    def best_barriers(self) -> frozenset[int]:
        """Return the barriers, among the cuts and the last step, whose largest segment is the smallest."""
        ends = [-1, *self.cuts(), len(self.program.steps) - 1]
        best: list[tuple[tuple[int, int], tuple[int, ...]]] = [((0, 0), ())]
        for j in range(1, len(ends)):
            options = []
            for i in range(j):
                largest, total = best[i][0]
                size = self._segment_bytes(ends[i] + 1, ends[j])
                options.append(((max(largest, size), total + size), (*best[i][1], ends[j])))
            best.append(min(options))
        return frozenset(best[-1][1])

    def _segment_bytes(self, first: int, last: int) -> int:
        """Return the bytes of all that lives while a segment runs: what it makes, and the tensor before it."""
        rings = self.segment(first, last)
        total = sum(self._bytes(buffer, rows) for buffer, rows in rings.rows)
        if rings.shares:
            total -= self._bytes(self.program.steps[last].output, self._image(last).height)
        if first > 0:
            total += self._bytes(self.program.steps[first - 1].output, self._image(first - 1).height)
        return total


def plan(program: Program) -> Program:
    """Fill in barriers, rows and offsets of a program from :func:`.lower.lower`; returns the same program."""
    planner = _Planner(program)
    chosen = planner.best_barriers()
    best = planner.place(chosen)
    for cut in planner.cuts():  # what first-fit placing makes of it may still be better without one of them
        found = planner.place(chosen ^ {cut})
        if found[0] < best[0]:
            chosen, best = chosen ^ {cut}, found
    whole = frozenset(range(len(program.steps)))  # rows save nothing where tensors are one row high, and branch
    for barriers in (whole, whole - planner.streamed()):
        if (found := planner.place(barriers))[0] < best[0]:
            chosen, best = barriers, found
    program.arena_bytes, rows, offsets, shares = best
    for i, buffer in enumerate(program.buffers):
        buffer.rows, buffer.offset = rows[i], offsets[i]
    for i, step in enumerate(program.steps):
        step.is_barrier, step.shares = i in chosen, shares.get(i)
    return program
