"""Families of models: those with the same layers, and what takes the place of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from transformers import PretrainedConfig, PreTrainedModel

from gpsimd_torch.neuron import is_neuron_host


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
    activation, which. `beside`: what there is in libraries beside that one, for CPUs. `by_name_only`: ops that are
    no part of `"all"`.
    """

    models: tuple[type[PreTrainedModel], ...]
    libraries: Mapping[str, Mapping[str, Mapping[type, type]]]
    activations: Mapping[str, Activation]
    beside: Mapping[str, Mapping[type, type]] = field(default_factory=dict)
    by_name_only: frozenset[str] = frozenset()

    @property
    def ops(self) -> tuple[str, ...]:
        """What `use_custom_ops` takes for these models."""
        return (*list(self.libraries.values())[-1], *self.beside)

    @property
    def all_ops(self) -> set[str]:
        """What is all of them: on a Neuron host, of one library."""
        return set(self.ops) - self.by_name_only - (set(self.beside) if is_neuron_host() else set())

    def library(self, chosen: set[str]) -> str:
        """The name of the op library that computes the chosen ops, but for those beside it."""
        return next(name for name, ops in self.libraries.items() if chosen - set(self.beside) <= set(ops))

    def replacements(self, chosen: set[str]) -> Mapping[type, type]:
        """Of each class of layers that changes, the one that takes its place."""
        layers = {**self.libraries[self.library(chosen)], **self.beside}
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
