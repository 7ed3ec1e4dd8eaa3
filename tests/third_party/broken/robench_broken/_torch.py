from __future__ import annotations

from torch import Tensor, nn

from robench.api import Verdict


class Broken(nn.Module):
    def __init__(self, classifier: nn.Module, kind: str) -> None:
        super().__init__()
        self.classifier = classifier
        self.kind = kind

    def forward(self, images: Tensor) -> Verdict | Tensor:
        if self.kind == "broken-input":
            images.mul_(0.5)
        if self.kind == "broken-data":
            images.data.mul_(0.5)
        logits: Tensor = self.classifier(images)
        if self.kind == "broken-type":
            return logits
        if self.kind == "broken-logits":
            return Verdict(logits=logits[:, :-1])
        if self.kind == "broken-infinite":
            return Verdict(logits=logits / 0)
        if self.kind == "broken-gradient":
            return Verdict(logits=logits.detach())
        return Verdict(logits=logits)
