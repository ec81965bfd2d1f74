"""Tensors of which each rank holds a part, in files that any number of ranks can read.

This is torch.distributed.checkpoint: each rank writes its parts into a file of its own, with where in the whole they
belong, and whoever reads asks for the parts that it holds itself, however they are cut then. The files are safetensors
(its default would be a pickled table of contents), so nothing is ever unpickled.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor

# torch.distributed.checkpoint takes a second to load, and most runs are without it: hence the imports within functions.


def write_pieces(directory: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors in pieces (DTensor); all ranks must call it, each with the same names.

    Raises:
        OSError: If a rank could not write its file; on all ranks.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    try:
        save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(directory), save_distributed=True))
    except CheckpointException as error:  # no Exception, and it would end in a page of tracebacks
        raise OSError(f"the pieces in {directory} could not be written: {error.failures}") from error


class Pieces:
    """What `write_pieces` has written.

    Args:
        directory: Where to; nothing is in there if it does not exist.
        prefix: Of the names that are looked at, and that they are then without.
    """

    def __init__(self, directory: Path, prefix: str = "") -> None:
        self._directory, self._prefix = directory, prefix
        known: Any = {}
        if directory.is_dir():
            from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

            known = HuggingFaceStorageReader(str(directory)).read_metadata().state_dict_metadata
        self.sizes = {
            name.removeprefix(prefix): tuple(held.size) for name, held in known.items() if name.startswith(prefix)
        }
        """Shapes of the whole tensors, by name."""

    def under(self, prefix: str) -> "Pieces":
        """Return those whose names begin with a prefix, without it."""
        return Pieces(self._directory, self._prefix + prefix)

    def read_into(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill tensors in place: whole ones, or this rank's pieces of them. All ranks must ask for the same names.

        Raises:
            ValueError: If there is none of a name, or it has another shape.
        """
        if not tensors:
            return
        odd = sorted(name for name, tensor in tensors.items() if self.sizes.get(name) != tuple(tensor.shape))
        if odd:
            raise ValueError(
                f"expected the pieces of this model in {self._directory}, got others for {', '.join(odd[:3])}: resume "
                "with the model and the types that the run had"
            )
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
        from torch.distributed.checkpoint.state_dict_loader import load

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # a single process may read, too
            load(
                {self._prefix + name: tensor for name, tensor in tensors.items()},
                storage_reader=HuggingFaceStorageReader(str(self._directory)),
                no_dist=not dist.is_initialized(),
            )
