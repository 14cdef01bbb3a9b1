/* What bounds every kernel here: FMAs from registers, and loads from each level of the memory hierarchy. */
#ifndef SPARSEBENCH_CEILING_H
#define SPARSEBENCH_CEILING_H

#include "simd.h"

/* As many chains as hide the latency of an FMA on two units (4 to 6 cycles each), and still fit the registers. */
#define CHAINS (REGISTER_ROWS * REGISTER_VECTORS < 12 ? REGISTER_ROWS * REGISTER_VECTORS : 12)

/* `rounds` * CHAINS fused multiply-adds of VLEN floats; returns how many floating-point operations that is. */
static double fma_rounds(long rounds)
{
    vf acc[CHAINS];
    vf scale, shift;
    for (int i = 0; i < VLEN; i++) {
        scale[i] = 0.5f;
        shift[i] = 1.0f;
    }
    EACH (c, 0, CHAINS)
        acc[c] = shift;
    for (long r = 0; r < rounds; r++) {
        EACH (c, 0, CHAINS)
            acc[c] = acc[c] * scale + shift;
        /* Without this the compiler may see that the chains converge, and keep one. */
#if defined(__x86_64__)
        EACH (c, 0, CHAINS)
            __asm__ volatile("" : "+x"(acc[c]));
#else
        EACH (c, 0, CHAINS)
            __asm__ volatile("" : "+w"(acc[c]));
#endif
    }
    vf total = acc[0];
    EACH (c, 1, CHAINS)
        total += acc[c];
    volatile float sink = total[0];
    (void)sink;
    return 2.0 * VLEN * CHAINS * (double)rounds;
}

/* Reads `floats` (a multiple of 8 * VLEN) once, in eight independent chains. */
static void read_once(const float *data, ptrdiff_t floats)
{
    vf sum[8];
    EACH (c, 0, 8)
        sum[c] = (vf){0};
    for (ptrdiff_t i = 0; i < floats; i += 8 * VLEN)
        EACH (c, 0, 8)
            sum[c] += *(const vf *)(data + i + c * VLEN);
    vf total = sum[0];
    EACH (c, 1, 8)
        total += sum[c];
    volatile float sink = total[0];
    (void)sink;
}

#endif
