"""Model files: their layers, where the weights are zero, and what pattern the zeros follow."""

from __future__ import annotations

from sparsebench.models.layer import ConvGeometry, Layer, Model, ModelInput
from sparsebench.models.load import load

__all__ = ["ConvGeometry", "Layer", "Model", "ModelInput", "load"]
