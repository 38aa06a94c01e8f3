"""Families of models: those with the same layers, and what takes the place of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from transformers import PretrainedConfig, PreTrainedModel


class Activation(NamedTuple):
    """The attribute of a configuration that names an activation, the names an op computes, and which form that is."""

    attribute: str
    names: tuple[str, ...]
    form: str


@dataclass(frozen=True)
class Family:
    """Models of transformers with the same layers.

    `libraries`: by the names of op libraries, what each has for the ops that `use_custom_ops` names: of each class of
    layers that changes, the one that takes its place. The first library that has all chosen ops computes them, as a
    model on NeuronCores has one library; the last has all that there are. `activations`: of the ops that compute an
    activation, which.
    """

    models: tuple[type[PreTrainedModel], ...]
    libraries: Mapping[str, Mapping[str, Mapping[type, type]]]
    activations: Mapping[str, Activation]

    @property
    def ops(self) -> tuple[str, ...]:
        """What `use_custom_ops` takes for these models."""
        return tuple(list(self.libraries.values())[-1])

    def library(self, chosen: set[str]) -> str:
        """The name of the op library that computes the chosen ops."""
        return next(name for name, ops in self.libraries.items() if chosen <= set(ops))

    def replacements(self, chosen: set[str]) -> Mapping[type, type]:
        """Of each class of layers that changes, the one that takes its place."""
        layers = self.libraries[self.library(chosen)]
        return {stock: fused for op in chosen for stock, fused in layers[op].items()}

    def check_activations(self, config: PretrainedConfig, chosen: set[str]) -> None:
        """`ValueError` unless models of this configuration have the activations that the chosen ops compute."""
        for op in chosen & set(self.activations):
            attribute, names, form = self.activations[op]
            found = getattr(config, attribute)
            if found not in names:
                expected = " or ".join(f"'{name}'" for name in names)
                raise ValueError(
                    f"expected {attribute} {expected} ({form}), found {found!r}; the op computes no other activation"
                )
