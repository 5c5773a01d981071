"""What was skipped, dropped or guessed: counted by kind, with a few sentences of each."""

from collections import Counter

SHOWN = 8  # sentences of each kind that are kept


class Problems:
    """Sentences on what went wrong, each once; memory hardly grows with those not shown."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # by kind
        self._texts: dict[str, list[str]] = {}
        self._seen: set[int] = set()

    def add(self, kind: str, sentence: str) -> None:
        """Take one in; `kind` is a plural, such as "images"."""
        sentence = " ".join(sentence.split())
        if (key := hash((kind, sentence))) in self._seen:
            return
        self._seen.add(key)
        self.counts[kind] += 1
        if self.counts[kind] <= SHOWN:
            self._texts.setdefault(kind, []).append(sentence)

    def include(self, others: "Problems") -> None:
        """Take over what others know of their kinds, in place of what is known of these here."""
        self.counts.update({kind: n - self.counts[kind] for kind, n in others.counts.items()})
        self._texts |= {kind: list(texts) for kind, texts in others._texts.items()}

    def texts(self) -> list[str]:
        """The sentences that are kept, and for each kind how many more there are."""
        found = []
        for kind, texts in self._texts.items():
            more = self.counts[kind] - len(texts)
            found += [*texts, *([f"and {more:,} more like these ({kind})"] if more else [])]
        return found
