# How far apart two CPUs are; see round_trip.h.

cdef extern from "round_trip.h" nogil:
    double round_trip(int here, int there)


def seconds(int here, int there):
    """Return the seconds in which a cache line travels between two CPUs and back; NaN where that cannot be measured."""
    cdef double found
    with nogil:
        found = round_trip(here, there)
    return found
