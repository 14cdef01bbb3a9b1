#ifndef SPARSEBENCH_BARRIER_H
#define SPARSEBENCH_BARRIER_H

/* Waits for the other threads of the parallel region that calls it. */
static void barrier(void) { _Pragma("omp barrier") }

#endif
