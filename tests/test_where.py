from __future__ import annotations

import pandas as pd
import pytest

from sparsebench.errors import InputError
from sparsebench.report.frame import select
from sparsebench.where import chosen

FRAME = pd.DataFrame({"N": [1, 16, 64], "pattern": ["block", "csr", "csr"], "lanes": pd.array([8, None, 4], "Int64")})


def test_a_condition_chooses_rows() -> None:
    assert chosen(FRAME, "N >= 16 and pattern == 'csr'").tolist() == [False, True, True]


def test_what_is_absent_fulfils_no_condition() -> None:
    assert chosen(FRAME, "lanes >= 4").tolist() == [True, False, True]
    assert select(FRAME, "lanes == 4")["N"].tolist() == [64]


@pytest.mark.parametrize("expression", ["N - 1", "'csr'", "N", "colour == 1", "N >="])
@pytest.mark.parametrize("function", [chosen, select])
def test_anything_else_is_refused_with_the_columns(function: object, expression: str) -> None:
    with pytest.raises(InputError, match="columns: N, pattern, lanes"):
        function(FRAME, expression)  # type: ignore[operator]
