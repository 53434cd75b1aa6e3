"""Several processes, on one machine or many, that train one network: batches in, each process's own share of them out.

Keras and JAX do the work. Processes hear of each other by three variables of Keras: KERAS_DISTRIBUTION_NUM_PROCESSES,
KERAS_DISTRIBUTION_PROCESS_ID (from 0) and KERAS_DISTRIBUTION_JOB_ADDRESSES, the address of process 0 with a free port.
Each step sees the whole batch, so losses, batch normalisation and scores are those of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np

from jointnet.network.checkpoints import TrainingError, alone_in_run

COUNT = "KERAS_DISTRIBUTION_NUM_PROCESSES"


def join() -> None:
    """Joins the processes that the environment names, if it names any and that is not done; before a network is made.

    Raises:
        TrainingError: if Keras does not run on JAX, the variables do not go together, or JAX was used before.
    """
    if os.environ.get(COUNT, "1").strip() == "1" or _joined():
        return
    if keras.backend.backend() != "jax":
        raise TrainingError(f"{COUNT} is set, and several processes train on JAX alone, while Keras runs on "
                            f"{keras.backend.backend()}; set KERAS_BACKEND=jax, or unset {COUNT}")
    try:
        keras.distribution.initialize()
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"this process cannot join the others: all three variables are needed ({COUNT}, ..._PROCESS_ID and "
            f"..._JOB_ADDRESSES, as 10.0.0.1:12345), process 0 must be reachable there, and in Python "
            f"keras.distribution.initialize() comes before the first network ({error})") from error


def place() -> tuple[int, int]:
    """(number of this process, of how many); (0, 1) where it is the only one."""
    if not _joined():
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def is_first() -> bool:
    """Whether this is the process that writes."""
    return place()[0] == 0


def wait_for_all(why: str) -> None:
    """Returns when every process has come here; at once where there is one.

    Args:
        why: a name of the place, the same for all.
    """
    if place()[1] > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(why)


def all_devices() -> keras.distribution.DataParallel | None:
    """What has each batch shared among the devices of all processes; None where there is one process."""
    if place()[1] == 1:
        return None
    return keras.distribution.DataParallel(auto_shard_dataset=False)


def _as_first_says(fine: bool = False) -> bool:
    """What process 0 gives here, in every process, once all have come; at once where there is one."""
    if place()[1] == 1:
        return fine
    from jax.experimental import multihost_utils

    return bool(multihost_utils.broadcast_one_to_all(np.array(fine)))


@contextmanager
def first_in_run(out: Path) -> Iterator[None]:
    """`alone_in_run` for process 0; the others need only see its folder.

    Raises:
        TrainingError: as there, in all processes, or if a process does not see the folder.
    """
    if is_first():
        with ExitStack() as stack:
            try:
                stack.enter_context(alone_in_run(out))
            except TrainingError:
                _as_first_says(False)
                raise
            _as_first_says(True)
            yield
        return
    if not _as_first_says():
        raise TrainingError(f"process 0 cannot train into {out}; what it says tells why")
    if not out.is_dir():
        raise TrainingError(f"process {place()[0]} does not see {out}, which process 0 has made; the folder of a run "
                            f"must be on a disk that all processes share")
    yield


class Share(keras.utils.PyDataset):
    """One process's part of each batch: the parts of all, one after the other, are the batch.

    A batch that cannot be dealt out evenly is filled up with blank patches of weight 0, which change no score; for
    training that is refused, because batch normalisation would see them.

    Args:
        batches: of (image, labels, weights). What has a method `part` reads the share alone.
        number, count: this process, and how many there are.
        devices: of all processes.
        strict: refuses uneven batches.

    Raises:
        TrainingError: if `strict` and a batch is uneven.
    """

    def __init__(self, batches: keras.utils.PyDataset, number: int, count: int, devices: int, strict: bool) -> None:
        super().__init__(batches.workers, batches.use_multiprocessing, batches.max_queue_size)
        self.batches, self.number, self.count = batches, number, count
        self.devices, self.strict = devices, strict

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """The part of a batch."""
        if hasattr(self.batches, "part"):
            return self.batches.part(index, self._rows(self.batches.batch_size))
        batch = self.batches[index]
        rows = self._rows(len(batch[0]))
        return tuple(_filled(array[rows], rows.stop - rows.start) for array in batch)

    def _rows(self, size: int) -> slice:
        """The patches that are this process's, of a batch of `size`."""
        if self.strict and size % self.devices:
            raise TrainingError(f"batches of {size} patches cannot be shared among {self.devices} devices of "
                                f"{self.count} processes; choose a multiple (batch_size={self.devices}, "
                                f"--batch-size {self.devices})")
        each = -(-size // self.devices) * self.devices // self.count
        return slice(self.number * each, (self.number + 1) * each)

    def on_epoch_begin(self) -> None:
        """Tells the batches."""
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the batches."""
        self.batches.on_epoch_end()


def own_share(batches: keras.utils.PyDataset, strict: bool = False) -> keras.utils.PyDataset:
    """This process's part of each batch; the batches themselves where there is one process."""
    number, count = place()
    return batches if count == 1 else Share(batches, number, count, len(keras.distribution.list_devices()), strict)


def _filled(array: np.ndarray, length: int) -> np.ndarray:
    """The array with zeros at its end, up to a length."""
    missing = length - len(array)
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array


def _joined() -> bool:
    """Whether JAX knows of several processes."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.distributed.is_initialized()
