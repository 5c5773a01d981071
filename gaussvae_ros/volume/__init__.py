"""Volumes of voxels as small records: occupancy, distances, scans. `codec.VolumeCodec` is the way
in; docs/volume.md tells how it works."""
