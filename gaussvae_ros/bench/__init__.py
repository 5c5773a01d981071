"""What `gaussvae bench` measures: each module has a `run` that returns rows with value, target and reference."""
