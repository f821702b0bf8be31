"""What runs all claims on each release of Flax, in an environment of its own."""
