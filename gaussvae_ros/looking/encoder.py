"""An encoder of images and texts in ONNX that a user brings, such as a CLIP or a SigLIP, so that
frames are found by what a sentence says.

A YAML file describes it, with paths beside it:

    name: my-clip           # under which vectors are kept
    image: image.onnx       # takes float32 [1, 3, h, w], gives [1, N] first
    size: 224               # px, w and h; not needed where the model says it
    resize: crop            # the middle of the picture, or stretch
    mean: [0.48, 0.46, 0.41]  # of each channel, 0 to 1, as it was trained with; so is std
    std: [0.27, 0.26, 0.28]
    text: text.onnx         # takes strings [1], gives [1, N] first
    texts: texts.npz        # or a table: texts [M] and vectors [M, N]

A text model takes whole strings, its tokenizer inside: a tokenizer must be the very one that the
model was trained with, and none comes with this package. Where a model is without, a table of the
texts that one will ask for, made once where it was trained, does as well. Needs the extra `text`.
"""

from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.bank.frame import checked_text
from gaussvae_ros.errors import BankError, ConfigError
from gaussvae_ros.extras import install

# Of CLIP, and of most that followed it.
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
RESIZES = ("crop", "stretch")
LARGEST = 4096  # px
_KNOWN = {"name", "image", "size", "resize", "mean", "std", "text", "texts"}


class Encoder:
    """The encoder that a YAML file describes. Models are loaded when they are first asked.

    Raises:
        ConfigError: from every method, with what is wrong with the file, a model or a table.
    """

    def __init__(self, path: str | Path) -> None:
        if find_spec("onnxruntime") is None:
            raise ConfigError(f"an encoder takes onnxruntime: {install('text')}")
        self._path, self._models = Path(path).expanduser(), {}
        facts = _read(self._path)
        if unknown := set(facts) - _KNOWN:
            raise ConfigError(f"{path}: {', '.join(sorted(map(str, unknown)))} is not known")
        try:
            self.name = checked_text("name", facts.get("name"))
        except BankError as error:
            raise ConfigError(f"{path}: {error}") from error
        for kind in ("image", "text", "texts"):
            if kind in facts and not self._beside(facts[kind]).is_file():
                raise ConfigError(f"{path}: {kind}: there is no file {facts[kind]}")
        if "image" not in facts:
            raise ConfigError(f"{path}: it names no image model")
        self._facts, self._resize = facts, facts.get("resize", RESIZES[0])
        if self._resize not in RESIZES:
            raise ConfigError(f"{path}: resize is one of {', '.join(RESIZES)}")
        self._mean, self._std = (
            self._channels(name, default) for name, default in (("mean", MEAN), ("std", STD))
        )

    def of_image(self, image: np.ndarray) -> np.ndarray:
        """The vector of a picture, uint8 [H, W, 3] RGB or [H, W]; float32 [N]."""
        import cv2

        model = self._model("image")
        wide, high = self._size(model)
        height, width = image.shape[:2]
        if self._resize == "crop":
            scale = min(width / wide, height / high)
            w, h = round(wide * scale), round(high * scale)
            x, y = (width - w) // 2, (height - h) // 2
            image = image[y : y + h, x : x + w]
        shrinks = image.shape[0] > high
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        small = cv2.resize(image, (wide, high), interpolation=how)
        small = np.stack([small] * 3, axis=-1) if small.ndim == 2 else small
        values = (small.astype(np.float32) / 255 - self._mean) / self._std
        return self._run("image", np.ascontiguousarray(values.transpose(2, 0, 1)[None]))

    def of_text(self, text: str) -> np.ndarray:
        """The vector of a text, float32 [N]: out of the table, or else of the text model."""
        if not text.strip():
            raise ConfigError(f"{text!r} says nothing that an encoder could find")
        table = self._table() if "texts" in self._facts else {}
        if (known := table.get(_plain(text))) is not None:
            return known
        if "text" in self._facts:
            return self._run("text", np.array([text], object))
        some = ", ".join(list(table)[:5]) or "none"
        raise ConfigError(
            f"{self._path}: it has no text model, and {text!r} is not in its table of texts"
            f" ({some}, ...)"
        )

    def find(
        self, bank: MemoryBank, text: str, limit: int, **conditions: object
    ) -> list[tuple[Frame, float]]:
        """The frames of a memory that most show what a text says, as `MemoryBank.find_vector`."""
        return bank.find_vector(self.name, self.of_text(text), limit=limit, **conditions)

    # Inside

    def _run(self, kind: str, value: np.ndarray) -> np.ndarray:
        model = self._model(kind)
        try:
            answer = np.asarray(model.run(None, {model.get_inputs()[0].name: value})[0])
        except Exception as error:  # onnxruntime's own kinds have no common one
            raise ConfigError(f"{self._path}: the {kind} model failed: {_line(error)}") from error
        if answer.ndim != 2 or answer.shape[0] != 1 or answer.dtype.kind != "f":
            raise ConfigError(
                f"{self._path}: the {kind} model gives {answer.dtype} {list(answer.shape)},"
                " not numbers [1, N]"
            )
        return answer[0].astype(np.float32)

    def _model(self, kind: str):  # -> onnxruntime.InferenceSession
        if kind not in self._models:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            try:
                self._models[kind] = onnxruntime.InferenceSession(
                    self._beside(self._facts[kind]), options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # likewise
                raise ConfigError(
                    f"{self._path}: the {kind} model cannot be loaded: {_line(error)}"
                ) from error
        return self._models[kind]

    def _size(self, model) -> tuple[int, int]:
        """(w, h) px that the image model takes."""
        shape = model.get_inputs()[0].shape
        given = self._facts.get("size")
        if given is None and len(shape) == 4 and all(isinstance(n, int) for n in shape[2:]):
            return shape[3], shape[2]
        if type(given) is not int or not 1 <= given <= LARGEST:
            raise ConfigError(f"{self._path}: size is that of its pictures, 1 to {LARGEST} px")
        return given, given

    def _table(self) -> dict[str, np.ndarray]:
        path = self._beside(self._facts["texts"])
        try:
            with np.load(path, allow_pickle=False) as file:
                texts, vectors = file["texts"], file["vectors"]
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise ConfigError(f"{path} is no table of texts and vectors: {_line(error)}") from error
        if texts.ndim != 1 or vectors.ndim != 2 or len(texts) != len(vectors):
            raise ConfigError(f"{path}: texts [M] and vectors [M, N] do not go together")
        if vectors.dtype.kind not in "fiu":
            raise ConfigError(f"{path}: vectors are made of numbers, not of {vectors.dtype}")
        with np.errstate(over="ignore"):
            vectors = vectors.astype(np.float32)
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise ConfigError(f"{path}: a vector is finite, and not all 0")
        return {_plain(str(text)): vector for text, vector in zip(texts, vectors)}

    def _channels(self, name: str, default: tuple) -> np.ndarray:
        try:
            with np.errstate(over="ignore"):
                values = np.array(self._facts.get(name, default), np.float32)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.shape != (3,) or not np.isfinite(values).all() or (name == "std" and 0 in values):
            raise ConfigError(f"{self._path}: {name} is three numbers, one for each channel")
        return values

    def _beside(self, name: object) -> Path:
        return self._path.parent / str(name)


def _read(path: Path) -> dict:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        facts = YAML(typ="safe").load(path.read_bytes())
    except (YAMLError, UnicodeError, ValueError) as error:
        raise ConfigError(f"{path}: not YAML: {_line(error)}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not isinstance(facts, dict):
        raise ConfigError(f"{path}: it describes no encoder")
    return facts


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
