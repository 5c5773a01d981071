"""Splats to bytes and back: the payload of a record of the "splats" tier."""

from gaussvae_ros.entropy.stream import read as decode_splats
from gaussvae_ros.quantise import encode_splats

__all__ = ["decode_splats", "encode_splats"]
