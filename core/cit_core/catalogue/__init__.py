"""Capability profiles of public models, shipped as data: what the router knows before you measure anything."""

from cit_core.catalogue.profiles import (
    VECTORS_OF,
    catalogue_candidates,
    catalogue_capabilities,
    catalogue_profiles,
    core_evidence,
    core_responses,
    core_suite,
    core_vectors,
    known_tasks,
    provenance,
    task_vectors,
)

__all__ = [
    "VECTORS_OF",
    "catalogue_candidates",
    "catalogue_capabilities",
    "catalogue_profiles",
    "core_evidence",
    "core_responses",
    "core_suite",
    "core_vectors",
    "known_tasks",
    "provenance",
    "task_vectors",
]
