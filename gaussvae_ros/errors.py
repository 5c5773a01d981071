"""The errors that gaussvae_ros raises on bad input. Catch `GaussVaeError` for all of them."""


class GaussVaeError(Exception):
    """Base of every error of this package; its text is one line that an operator can act on."""


class ImageError(GaussVaeError):
    """Not an image: wrong type, shape, dtype or size, or values that are not finite."""


class VolumeError(GaussVaeError):
    """Not a volume: wrong type, shape or number type, or values that are infinite."""


class RecordError(GaussVaeError):
    """A record that cannot be decoded: truncated, altered, of an unknown version, tier or model."""


class BankError(GaussVaeError):
    """A memory file that cannot be opened, read or written."""


class BankGone(BankError):
    """The opened memory file is not at its path any more: deleted, replaced, or its disk away."""


class BagError(GaussVaeError):
    """A bag that cannot be read, or that holds nothing to replay."""


class FleetError(GaussVaeError):
    """An archive or a catalogue of many robots that cannot be reached, read or written."""


class ConfigError(GaussVaeError):
    """A config file with a key that nobody knows, or a value of the wrong type or out of range."""


class TrainingError(GaussVaeError):
    """A training that cannot begin or go on; what it last wrote is whole."""


class ModelError(GaussVaeError):
    """A model that cannot be built, found or read: unknown name or setting, damaged file."""


class DataError(GaussVaeError):
    """Training data that is missing, empty or damaged, or that does not fit what is asked of it."""


class RecallError(GaussVaeError):
    """What the recall node refused, or that it did not answer."""
