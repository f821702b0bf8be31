"""Attempts, programs, signals and disks that nobody planned for: what `nnx-state practice` makes of them."""
