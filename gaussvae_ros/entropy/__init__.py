"""Splats to bytes and back: the payload of a record of the "splats" tier."""
