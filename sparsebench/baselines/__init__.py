"""Other libraries' kernels under our contract: one file per library, each with a list KERNELS."""
