"""Where in an image a network finds what it answers by: one map (B, H, W), at least 0, for each way to ask."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.models.attnmel import Attention
from robustdx.models.features import blocks, maps
from robustdx.tasks import Binary, MultiLabel, Ordinal, Task, plain
from robustdx.tensors import Images, Labels, Outputs, PerImage

SAME = 1e-5
"""A map that varies by less than this share of its largest value is the same everywhere: the rest is rounding."""
STRONGEST = 0.99
"""Single pixels with a huge gradient would darken all others: a map of gradients is cut at this quantile of the image."""


class Evidence(nn.Module):
    """The logit of one answer for each image, (B,): what every map but attention explains.

    A module, as captum wants one, around the model and the draws of its images.
    """

    def __init__(self, model: DiagnosticModel, draws: Draws, answer: Tensor) -> None:
        super().__init__()
        self.model, self.draws, self.answer = model, draws, answer

    def forward(self, x: Images) -> PerImage:
        return (logits(plain(self.model.task), self.model(x, self.draws)) * self.answer).sum(1)


def logits(task: Task, outputs: Outputs) -> Outputs:
    """(B, classes): a logit for each answer. Of a single one, the other answer's is its negative; grades that have a logit for each
    step are taken by their log probabilities."""
    if isinstance(task, Binary):
        z = task.logit(outputs)
        return torch.stack((-z, z), 1)
    if isinstance(task, Ordinal) and task.cumulative:
        return task.log_probabilities(outputs)
    return outputs


def decided(task: Task, outputs: Outputs) -> Tensor:
    """(B, classes), 1 at the answer that is explained: the class decided, or of several findings the most likely one."""
    best = outputs.argmax(1) if isinstance(task, MultiLabel) else task.decide(outputs)
    return F.one_hot(best, len(task.classes)).float()


def labelled(task: Task, y: Labels, outputs: Outputs) -> Tensor:
    """(B, classes), 1 at the true answer: the class, or all findings that are present; where none is, the most likely one."""
    if not isinstance(task, MultiLabel):
        return F.one_hot(y, len(task.classes)).float()
    present = (y == 1).float()
    return torch.where(present.any(1, keepdim=True), present, decided(task, outputs))


def attention(evidence: Evidence, x: Images, layer: str) -> dict[str, Tensor]:
    """The network's own attention maps, as AttnMel has them: its softmax (or sigmoid) over the places, scaled up. One forward pass."""
    names = [name for name, module in evidence.model.network.named_modules() if isinstance(module, Attention)]
    with torch.no_grad():
        found = maps(evidence.model, x, evidence.draws, names) if names else {}
    return {f"attention:{name}": _scaled_up(a, x) for name, a in found.items()}


def saliency(evidence: Evidence, x: Images, layer: str) -> dict[str, Tensor]:
    """|d logit / d x|, summed over channels (Simonyan et al. 2014, section 3), cut at the 99th percentile. One forward, one backward."""
    start = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        (grad,) = torch.autograd.grad(evidence(start).sum(), start)
    return {"saliency": _cut(grad.abs().sum(1))}


def gradcam(evidence: Evidence, x: Images, layer: str) -> dict[str, Tensor]:
    """max(0, sum_k mean(d logit / d A_k) A_k) over the channels of a layer (Selvaraju et al. 2017, section 3). One forward, one backward.

    A channel's weight is one for the whole map: a place may light up that the answer does not depend on. See hirescam.
    """
    from captum.attr import LayerGradCam

    cam = LayerGradCam(evidence, evidence.model.network.get_submodule(layer))
    found = cam.attribute(x.detach().clone().requires_grad_(), relu_attributions=True)
    return {"gradcam": _scaled_up(found.detach(), x)}


def hirescam(evidence: Evidence, x: Images, layer: str) -> dict[str, Tensor]:
    """max(0, sum_k (d logit / d A_k) A_k), place by place (Draelos and Carin 2020). One forward, one backward."""
    from captum.attr import LayerGradientXActivation

    product = LayerGradientXActivation(evidence, evidence.model.network.get_submodule(layer))
    found = product.attribute(x.detach().clone().requires_grad_())
    return {"hirescam": _scaled_up(found.detach().sum(1, keepdim=True).relu(), x)}


def guided_gradcam(evidence: Evidence, x: Images, layer: str) -> dict[str, Tensor]:
    """Grad-CAM times guided backpropagation (Selvaraju et al. 2017, section 3.2): sizes, summed over channels, cut at the 99th percentile.

    Guided backpropagation lets only what raises the answer through each nn.ReLU; a ReLU called as a function is passed as it is. It
    hardly depends on the weights (Adebayo et al. 2018), so take it for a drawing of what lies where Grad-CAM looks. Two of each.
    """
    from captum.attr import GuidedGradCam

    with _apart(evidence), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks")
        guided = GuidedGradCam(evidence, evidence.model.network.get_submodule(layer))
        found = guided.attribute(x.detach().clone().requires_grad_(), interpolate_mode="bilinear")
    return {"guided_gradcam": _cut(found.detach().abs().sum(1))}


MAPS: dict[str, Callable[[Evidence, Images, str], dict[str, Tensor]]] = {
    "attention": attention,
    "saliency": saliency,
    "gradcam": gradcam,
    "hirescam": hirescam,
    "guided_gradcam": guided_gradcam,
}
"""The ways to ask, by name."""
AT_A_LAYER = ("gradcam", "hirescam", "guided_gradcam")
"""Those that look at one layer's map."""


def last_map(model: DiagnosticModel, x: Images, draws: Draws) -> str:
    """The last block of the network whose output still has rows, columns and several channels; "" where there is none."""
    every = len(list(model.network.modules()))
    if not blocks(model.network, every):
        return ""
    with torch.no_grad():
        found = maps(model, x[:1], draws.take([0]), most=every)
    return next((name for name, values in reversed(found.items()) if values.dim() == 4 and min(values.shape[1:]) > 1), "")


def lacking(way: str, model: DiagnosticModel, layer: str) -> str:
    """Why a network has no such map; "" where it has."""
    modules = list(model.network.modules())
    if way == "attention" and not any(isinstance(m, Attention) for m in modules):
        return "the network has no attention maps"
    if way in AT_A_LAYER and not layer:
        return "the network has no layer whose output still has rows and columns"
    if way == "guided_gradcam" and not any(isinstance(m, nn.ReLU) for m in modules):
        return "the network has no nn.ReLU to guide the gradient through"
    return ""


def scaled(response: Tensor) -> Tensor:
    """Each map (B, H, W) from 0 to 1; one that is the same everywhere becomes 0."""
    low, high = response.amin((1, 2), keepdim=True), response.amax((1, 2), keepdim=True)
    varied = high - low > SAME * high.abs()
    return torch.where(varied, (response - low) / torch.where(varied, high - low, 1.0), 0.0)


def _cut(response: Tensor) -> Tensor:
    return torch.stack([r.clamp_max(r.quantile(STRONGEST)) for r in response])  # one by one: quantile takes 16 million values at most


def _scaled_up(response: Tensor, x: Images) -> Tensor:
    """(B, 1, h, w) at the size of the images, (B, H, W)."""
    return F.interpolate(response.float(), x.shape[2:], mode="bilinear", align_corners=False)[:, 0]


@contextmanager
def _apart(network: nn.Module) -> Iterator[None]:
    """No layer overwrites its input inside the block: the gradient cannot be guided through one that does."""
    changed = [m for m in network.modules() if getattr(m, "inplace", False) is True]
    for module in changed:
        module.inplace = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in changed:
            module.inplace = True  # type: ignore[assignment]
