"""Which record each frame of a sequence is predicted from, and as what its record is stored."""

from gaussvae_ros.sequence.encoder import AHEAD, Coded, SequenceEncoder, encode_sequence

__all__ = ["AHEAD", "Coded", "SequenceEncoder", "encode_sequence"]
