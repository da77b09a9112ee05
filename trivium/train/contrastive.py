"""The gradient of a contrastive loss over a batch that is larger than memory (GradCache).

A contrastive loss needs all vectors of a batch at once, but only the vectors: they are computed
without a graph, the loss gives the gradient of each vector, and each micro-batch is then computed
again with a graph and pulled by its vectors' gradients (Gao et al. 2021, arXiv:2101.06983). The sum
is the gradient of the whole batch. Several processes show each other their vectors, so every
picture is held against every text of the batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from trivium.nn.two_towers import TwoTowers, siglip_loss
from trivium.train import processes


def loss_of(model: TwoTowers, logits: Tensor, groups: Tensor) -> Tensor:
    """The model's own loss where each pair is a group of its own.

    Pairs of one group (a class, an equal caption) fit each other as well as themselves: the target
    is shared among them evenly, as in UniCL (Yang et al. 2022, arXiv:2204.03610, equation 2).

    Args:
        logits: (n, n)
        groups: (n,), equal numbers for pairs that fit each other.
    """
    same = (groups[:, None] == groups[None, :]).to(logits.dtype)
    if model.shape.kind == "siglip":
        if torch.equal(same, torch.eye(len(same), dtype=same.dtype, device=same.device)):
            return siglip_loss(logits)
        return -functional.logsigmoid((2 * same - 1) * logits).sum() / len(logits)
    target = same / same.sum(dim=1, keepdim=True)  # symmetric: a group's rows are equal
    by_image = functional.cross_entropy(logits, target)
    by_text = functional.cross_entropy(logits.T, target)
    return (by_image + by_text) / 2


def accumulate(model: TwoTowers, pixels: Tensor, ids: Tensor, groups: Tensor, micro: int) -> float:
    """Add the gradient of the loss of the whole batch to every weight, and return the loss.

    Equal captions are embedded once.

    Args:
        pixels: this process's pictures, (b, 3, size, size).
        ids: their captions, (b, T).
        groups: their groups, (b,).
        micro: how many are computed with a graph at a time.
    """
    texts, which = ids.unique(dim=0, return_inverse=True)
    image, text = _Side(model.embed_images, pixels, micro), _Side(model.embed_texts, texts, micro)
    every = [
        processes.gather(vectors).requires_grad_()
        for vectors in (image.vectors.detach(), text.vectors.detach()[which])
    ]
    loss = loss_of(model, model.compare(*every), processes.gather(groups))
    loss.backward()
    for parameter in (model.log_scale, model.bias):
        if parameter is not None and parameter.grad is not None:
            # every process has the whole gradient of these, and the sum over processes is to come
            parameter.grad /= processes.count()
    mine = processes.part(len(every[0]))
    pulls = [vectors.grad[mine] for vectors in every if vectors.grad is not None]
    image.pull(pulls[0])
    shared = functional.one_hot(which, len(texts)).to(pulls[1].dtype)  # (b, texts)
    text.pull(shared.T @ pulls[1])
    processes.add(p.grad for p in model.parameters() if p.grad is not None)
    return float(loss.detach())


class _Side:
    """One tower's vectors of a batch, and the way back from their gradients to the weights."""

    def __init__(self, embed: Callable[[Tensor], Tensor], values: Tensor, micro: int) -> None:
        self._embed, self._pieces = embed, values.split(micro)
        self._alone = len(self._pieces) == 1  # it fits with its graph, and is computed once
        with torch.set_grad_enabled(self._alone):
            self.vectors = torch.cat([embed(piece) for piece in self._pieces])

    def pull(self, gradient: Tensor) -> None:
        """Add to the weights what the vectors' `gradient`, of the same shape, means for them."""
        if self._alone:
            self.vectors.backward(gradient)
            return
        sizes = [len(piece) for piece in self._pieces]
        for piece, part in zip(self._pieces, gradient.split(sizes), strict=True):
            self._embed(piece).backward(part)
