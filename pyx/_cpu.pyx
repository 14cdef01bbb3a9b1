# What the processor can do. Compiled for the baseline of its architecture, so that it loads on every machine.

cdef extern from *:
    """
    #if defined(__x86_64__)
    /* The psABI's levels by their features: the names "x86-64-v3" are not known to every compiler. */
    static int has_v2(void)
    {
        __builtin_cpu_init();
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    }
    static int has_v3(void) { return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                                  && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"); }
    static int has_v4(void) { return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                                  && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
                                  && __builtin_cpu_supports("avx512vl"); }
    static int has_generic(void) { return 0; }
    #else
    static int has_v2(void) { return 0; }
    static int has_v3(void) { return 0; }
    static int has_v4(void) { return 0; }
    static int has_generic(void) { return 1; }
    #endif
    """
    bint has_v2()
    bint has_v3()
    bint has_v4()
    bint has_generic()


def levels():
    """Return the instruction-set levels that this CPU and its operating system support, lowest first."""
    found = (("v2", has_v2()), ("v3", has_v3()), ("v4", has_v4()), ("generic", has_generic()))
    return [name for name, present in found if present]
