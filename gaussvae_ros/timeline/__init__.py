"""A memory file as one HTML page: its route, its frames along time, and what they look like."""

from gaussvae_ros.timeline.writing import write_timeline

__all__ = ["write_timeline"]
