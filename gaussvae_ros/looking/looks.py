"""What is looked for in pictures, and what was found."""

from dataclasses import dataclass

import numpy as np

from gaussvae_ros.bank.search.texts import Text
from gaussvae_ros.looking.encoder import Encoder
from gaussvae_ros.looking.reading import TextReader, check_packages


@dataclass(frozen=True)
class Looks:
    """What to look for."""

    text: bool = False
    encoder: str = ""  # path of the file that describes one, see encoder.py; empty: none

    def __bool__(self) -> bool:
        return self.text or bool(self.encoder)

    def check(self) -> None:
        """Raise a ConfigError where a package, or the encoder, is not there or not one."""
        if self.text:
            check_packages()
        if self.encoder:
            Encoder(self.encoder)


@dataclass(frozen=True)
class Found:
    """What a picture shows; None where that was not looked for."""

    texts: list[Text] | None = None
    encoder: str = ""  # the name of what made the vector
    vector: np.ndarray | None = None  # float32 [N]

    def as_json(self) -> dict:
        """Ready for JSON."""
        texts = self.texts and [[t.text, t.box, t.confidence] for t in self.texts]
        vector = None if self.vector is None else self.vector.tolist()
        return {"texts": texts, "encoder": self.encoder, "vector": vector}

    @classmethod
    def of_json(cls, told: dict) -> "Found":
        """What `as_json` made."""
        texts = told["texts"] and [Text(t, tuple(box), sure) for t, box, sure in told["texts"]]
        vector = told["vector"] and np.array(told["vector"], np.float32)
        return cls(texts, told["encoder"], vector)

    def keep(self, bank: object, frame_id: int) -> None:
        """Keep it with a frame of a MemoryBank."""
        if self.texts is not None:
            bank.set_texts(frame_id, self.texts)
        if self.vector is not None:
            bank.set_vector(frame_id, self.encoder, self.vector)


class Looker:
    """Looks at pictures in this process.

    Raises:
        ConfigError: as `Looks.check`.
    """

    def __init__(self, looks: Looks) -> None:
        self._reader = TextReader() if looks.text else None
        self._encoder = Encoder(looks.encoder) if looks.encoder else None

    def look(self, image: np.ndarray) -> Found:
        """What a picture shows, uint8 [H, W, 3] RGB or [H, W]."""
        texts = self._reader.read(image) if self._reader else None
        if self._encoder is None:
            return Found(texts)
        return Found(texts, self._encoder.name, self._encoder.of_image(image))
