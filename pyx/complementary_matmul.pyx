# complementary: Y = W X, S lane groups of L rows overlaid: in each set every input belongs to one group.
# Layout: lane groups in row order, about K/S inputs each, values [input, L]; equal lists, so equal work.
# L = 1, partitioned, N <= 12: windows of S inputs in registers, permuted to the rows that own them (windows.h).
# Parallel over column tiles and runs of lane groups.
# Bound by the FMA units for L >= 4 (8 x 3 tile), by loads for L = 1, by W's bytes for N = 1.

from sparsebench import isa
from sparsebench.formats import Complementary
from sparsebench.formats import windows as window_format
from sparsebench.formats.lane_groups import from_complementary
from sparsebench.lane_plan import prepare_groups, supports_layout
from sparsebench.tiling import worthwhile_threads

NAME = "complementary"
OP = "matmul"
SUMMARY = "S = 1/density kernels overlaid in one dense array, L rows a lane group"


def supports(problem):
    return supports_layout(problem) if problem.pattern.name == "complementary" else "needs pattern 'complementary'"


def prepare(problem, weights, threads):
    lanes = problem.pattern.lanes
    matrix = Complementary.pack(weights.dense, weights.mask.owner, lanes, problem.overlay)
    engine = isa.module("window_engine", isa.level_of(__name__))
    vectors = engine.vectors_for(problem.N)
    if vectors and problem.x_layout == "row" and window_format.fits(matrix, engine.VECTOR_FLOATS):
        windows = window_format.from_complementary(matrix, engine.VECTOR_FLOATS, vectors)
        return engine.WindowPlan(windows, problem.N, worthwhile_threads(windows.values.size * problem.N, threads))
    return prepare_groups(__name__, lambda kblock: from_complementary(matrix, kblock), lanes, problem, threads)
