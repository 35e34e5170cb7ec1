"""The networks of a training: encoder and loss, and their average where one is kept."""

from torch import Tensor, nn

from spkmodel.config import EMA
from spkmodel.core.checkpoint import Checkpoint
from spkmodel.training.averaging import WeightAverage, named_tensors


class TrainedNetworks:
    """An encoder and its loss, with a moving average of their weights if `ema` is given."""

    def __init__(self, encoder: nn.Module, loss: nn.Module, ema: EMA | None) -> None:
        self.encoder = encoder
        self.loss = loss
        self._average = WeightAverage(ema, encoder, loss) if ema is not None else None

    @property
    def evaluated_encoder(self) -> nn.Module:
        """The encoder to evaluate and keep: the averaged one where an average is kept."""
        return self.encoder if self._average is None else self._average.encoder

    @property
    def averaged_steps(self) -> int:
        """Steps of the optimiser that the average has taken in; 0 without an average."""
        return 0 if self._average is None else self._average.steps

    def weights(self) -> dict[str, nn.Parameter]:
        """Return all weights that are trained, by the names of the state."""
        return {
            f"{prefix}.{name}": weight
            for prefix, module in self._modules().items()
            for name, weight in module.named_parameters()
            if weight.requires_grad
        }

    def set_training_mode(self) -> None:
        """Switch norms and dropout of encoder and loss to training."""
        self.encoder.train()
        self.loss.train()

    def update_average(self) -> None:
        """Take the weights after a step of the optimiser into the average, if there is one."""
        if self._average is not None:
            self._average.update()

    def replace_loss(self, loss: nn.Module) -> None:
        """Replace the loss by one with other settings; the weights stay the same objects."""
        # The optimiser's moments belong to these very tensors, so they are moved, not copied.
        self.loss = _with_weights_of(self.loss, loss)
        if self._average is not None:
            self._average.replace_loss(self.loss)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the state.

        `encoder.` and `loss.` are what is evaluated. Where that is an average, the weights that the
        optimiser works on are `raw.encoder.` and `raw.loss.`.
        """
        if self._average is None:
            return named_tensors(self._modules())
        raw = {f"raw.{name}": tensor for name, tensor in named_tensors(self._modules()).items()}
        return self._average.tensors() | raw

    def load(self, saved: Checkpoint) -> None:
        """Load the tensors of a state that `tensors` returned."""
        raw = "" if self._average is None else "raw."
        for prefix, module in self._modules().items():
            module.load_state_dict(saved.below(raw + prefix))
        if self._average is not None:
            self._average.load(saved.tensors, saved.state["averaged_steps"])

    def _modules(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "loss": self.loss}


def _with_weights_of(source: nn.Module, module: nn.Module) -> nn.Module:
    """Put the weights and buffers of `source` into `module`, which has the same names."""
    own = dict(source.named_parameters()) | dict(source.named_buffers())
    for name, tensor in own.items():
        path, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(path), leaf, tensor)
    return module
