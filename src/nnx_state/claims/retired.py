"""Names of claims that are no longer asked, each with the claim that took its place: an address never leads nowhere."""

RETIRED: dict[str, str] = {
    "a-fresh-tx-is-traced": "a-fresh-transformation-is-traced-again",
    "a-static-number-is-traced": "python-number-retraces",
    "a-step-under-jax-jit-is-lost": "jax-jit-trains-a-copy",
    "an-optimizer-made-anew-is-not-traced": "a-fresh-optimizer-is-not-traced-again",
    "lax-refuses-a-param": "lax-add-refuses-a-param",
    "matmul-takes-a-param": "classic-forward-on-params",
    "one-seed-on-every-release": "the-kernel-of-seed-0",
    "update-knows-the-names": "update-refuses-an-unknown-name",
    "update-wants-the-shape": "update-refuses-another-shape",
    "zero-bias-by-hand": "classic-zero-bias-changes-nothing",
}
