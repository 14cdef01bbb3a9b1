"""Studies of accuracy: networks trained with each pattern, judged, and timed in our kernels on this machine."""
