"""Frames found by what they look like."""
