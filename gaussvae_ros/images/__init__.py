"""Pictures as cameras and files have them, to arrays."""
