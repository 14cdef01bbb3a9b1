"""Model files: their layers, where the weights are zero, and what pattern the zeros follow."""

from __future__ import annotations

from sparsebench.models.geometry import ConvGeometry
from sparsebench.models.layer import Layer, Model, ModelInput
from sparsebench.models.load import load
from sparsebench.models.zeros import Fit, Zeros, study

__all__ = ["ConvGeometry", "Fit", "Layer", "Model", "ModelInput", "Zeros", "load", "study"]
