# complementary-ss: Y = W X from the non-zeros of X alone, W complementary.
# Layout: columns of W, [K, sets, L]: the weights of input k's owner in every set, and where that owner's rows begin.
# Parallel over samples, and over sets where samples are fewer than threads.
# Bound by one load, one add and one store of L rows of Y a weight vector; listing the non-zeros is in the time.

from sparsebench import isa
from sparsebench.formats import Complementary
from sparsebench.formats import columns
from sparsebench.tiling import worthwhile_threads

NAME = "complementary-ss"
OP = "matmul"
SUMMARY = "walks the non-zero activations, and for each its one owner in every set; selection is in the time"
SKIPS_ZEROS = True
# Beyond, sample after sample costs more than the tiles that multiply by zeros.
MOST_COLUMNS = 64
# FMAs that one column's weights in one set count as: two threads break even at some 3,500 such additions.
FMAS_AN_ADD = 16


def supports(problem):
    if problem.pattern.name != "complementary":
        return "needs pattern 'complementary'"
    if problem.act_density == 1:
        return "needs an activation density below 1"
    if problem.N > MOST_COLUMNS:
        return f"takes up to {MOST_COLUMNS} columns, each on its own"
    return columns.too_large(problem.pattern.lanes, problem.overlay)


def prepare(problem, weights, threads):
    lanes = problem.pattern.lanes
    matrix = Complementary.pack(weights.dense, weights.mask.owner, lanes, problem.overlay)
    packed = columns.from_complementary(matrix)
    adds = round(problem.act_density * packed.row.size * problem.N)
    used = min(worthwhile_threads(FMAS_AN_ADD * adds, threads), packed.row.shape[1] * problem.N)
    # "blocked" stands for each kernel's own layout: here samples, one after the other.
    layout = "row" if problem.x_layout == "row" else "column"
    return isa.module("sparse_engine", isa.level_of(__name__)).SparsePlan(packed, problem.N, layout, used)
