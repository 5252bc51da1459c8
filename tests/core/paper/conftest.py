"""Run torch on one thread: tiny matrices are done before a second thread has woken up."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
