"""Placeholder."""


class CapabilityStore: ...
