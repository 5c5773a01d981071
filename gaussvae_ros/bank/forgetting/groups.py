"""How many frames are in which cell, fullest first."""

from collections.abc import Callable, Iterable


class Groups:
    """Counts of cells. One that is set aside is not the fullest before it is brought back, or its
    count changes.
    """

    def __init__(self):
        self._counts: dict[int, int] = {}
        self._by_count: dict[int, dict[int, None]] = {}  # cells that are not set aside
        self._aside: dict[int, None] = {}
        self._most = 0  # no cell has more

    def add(self, cell: int):
        """One more frame."""
        self.set(cell, self._counts.get(cell, 0) + 1)

    def set(self, cell: int, count: int):
        """So many frames are in this cell."""
        self._take_out(cell)
        self._aside.pop(cell, None)
        if count > 0:
            self._counts[cell] = count
            self._by_count.setdefault(count, {})[cell] = None
            self._most = max(self._most, count)
        else:
            self._counts.pop(cell, None)

    def set_aside(self, cell: int):
        """None of this cell's frames can go."""
        self._take_out(cell)
        self._aside[cell] = None

    def bring_back(self, cells: Iterable[int] | None = None):
        """Some may go of these that were set aside, or of any."""
        for cell in list(self._aside if cells is None else cells):
            self.set(cell, self._counts.get(cell, 0))

    def fullest(self) -> tuple[int, int] | None:
        """A cell of several frames, of those with most the one that has had so many for longest,
        and their number; None if there is none.
        """
        while self._most > 1:
            for cell in self._by_count.get(self._most, ()):
                return cell, self._most
            self._most -= 1
        return None

    def left_after(self, count: int) -> int:
        """How many frames are left in the fullest cells, once `count` frames are taken out of
        whichever is the fullest; at least 1.
        """
        cells = 0
        sizes = sorted(self._by_count, reverse=True)
        for size, below in zip(sizes, [*sizes[1:], 0]):
            cells += len(self._by_count[size])
            steps = min(size - max(below, 1), -(-count // cells))
            if (count := count - steps * cells) <= 0:
                return size - steps
        return 1

    def merged(self, larger: Callable[[int], int]) -> "Groups":
        """The same frames in larger cells, `larger(cell)` of each."""
        counts: dict[int, int] = {}
        for cell, count in self._counts.items():
            other = larger(cell)
            counts[other] = counts.get(other, 0) + count
        merged = Groups()
        for cell, count in counts.items():
            merged.set(cell, count)
        return merged

    def _take_out(self, cell: int):
        count = self._counts.get(cell)
        if (cells := self._by_count.get(count)) is not None:
            cells.pop(cell, None)
            if not cells:
                del self._by_count[count]
