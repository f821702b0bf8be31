"""Claims on trial: statements about NNX state, each a function that a run on any release of Flax upholds or refutes."""
