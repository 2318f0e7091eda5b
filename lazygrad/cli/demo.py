"""The demo: a classifier of handwritten digits, trained from scratch in seconds.

Owns: the model, the split, the training loop and its progress bar. Must not know: how anything is
compiled or run; it is written as a user of the library would, and the statistics are printed by
`lazygrad.cli.stats`.
"""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.cli.stats import print_stats
from lazygrad.data import load_digits
from lazygrad.tensor import Tensor, realize, tensor
from lazygrad.utils.data import DataLoader, TensorDataset, random_split

__all__ = ["build_model", "demo"]


def build_model() -> nn.Sequential:
    """Images (N, 8, 8) to the logits of ten digits (N, 10)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 256),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is that of their label."""
    model.eval()
    with lg.no_grad():
        right = model(images).argmax(1) == labels
        return float(right.float().mean().item())


def demo(
    epochs: int = 30, seed: int = 0, batch_size: int = 64, console: Console | None = None
) -> float:
    """Train on four fifths of the digits and return the accuracy on the held-out fifth."""
    console = Console() if console is None else console
    lg.manual_seed(seed)
    pixels, digits = load_digits()
    images, labels = tensor(pixels).float() / 16.0, tensor(digits).long()
    realize(images, labels)
    held_out = len(digits) // 5
    samples = TensorDataset(images, labels)
    train, test = random_split(samples, [len(digits) - held_out, held_out])
    batches = DataLoader(train, batch_size, shuffle=True, drop_last=True)
    model = build_model()
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.AdamW(model.parameters(), lr=4e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    console.print(f"training on {len(train)} handwritten digits, {held_out} held out")
    console.print(repr(model), highlight=False)
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("train", total=epochs, loss=float("nan"))
        for _ in range(epochs):
            model.train()
            loss = None
            for batch, target in batches:
                optimizer.zero_grad()
                loss = loss_function(model(batch), target)
                loss.backward()
                optimizer.step()
            schedule.step()
            # One look an epoch: reading a loss is what makes Python wait for it.
            shown = float("nan") if loss is None else float(loss.item())
            progress.update(task, advance=1, loss=shown)
    share = accuracy(model, *test.dataset.batch(test.indices))
    console.print(f"accuracy on the held-out {held_out}: [bold]{share:.2%}[/bold]")
    print_stats(console)
    return share
