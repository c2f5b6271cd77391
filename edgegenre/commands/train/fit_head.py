"""``edgegenre fit-head``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.errors import UsageError

from ..common import check_run_folder, command_line, make_folder, needs, progress_bar, require_installed

__all__ = ["fit_head"]


def fit_head(
    data: Annotated[Path, typer.Argument(help="Feature cache (.npz) with a split.")],
    weights: Annotated[
        list[str],
        typer.Option(help="Weights of the body: file, https URL or `package`; once for each network of a joined one."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    model: Annotated[str, typer.Option(help="Network, one of those that `edgegenre models` lists.")] = "temporal",
    spec: Annotated[str, typer.Option(help="Front-end of the cache: seed3s or wide9s.")] = "seed3s",
    inverse_penalty: Annotated[float, typer.Option(help="Inverse strength of the penalty (scikit-learn's C).")] = 3e-3,
    tag_prior: Annotated[
        float, typer.Option(help="How much the fit starts from what a label means in musicnn's tags; 0: not at all.")
    ] = 0.0,
    all_parts: Annotated[
        bool, typer.Option("--all", help="Fit on validation and test tracks too: for a network to ship.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in --out.")] = False,
) -> None:
    """Fit a network's head to a data set by one strongly regularized regression; its body stays as published.

    There is nothing random in it. Where only a few hundred tracks are at hand, this keeps what the body knows of other
    music. Example: `edgegenre fit-head gtzan.npz --weights artist_siamese10000.npz --out runs/temporal`
    """
    require_installed("train", "torch", "sklearn", "safetensors")
    if not 0 < inverse_penalty < float("inf"):
        raise UsageError(f"the inverse penalty must be above 0, not {inverse_penalty:g}; 0.003 is a strong penalty")
    if not 0 <= tag_prior < float("inf"):
        raise UsageError(f"the prior of tags must be 0 or more, not {tag_prior:g}; 1 lets them weigh as much as tracks")
    from edgegenre.data.dataset import SPLIT_NAMES
    from edgegenre.data.feature_cache import load_cache
    from edgegenre.models import JOINED, ModelConfig, check_name
    from edgegenre.weight_files import find_weights
    from edgegenre_runtime.frontend import released

    check_name(model)
    if len(weights) > 1 and model not in JOINED:
        raise UsageError(f"{len(weights)} --weights were given; {model} takes one file")
    if tag_prior and model not in JOINED:
        raise UsageError(f"{model} hears no tags to start from: leave out --tag-prior, or fit {' or '.join(JOINED)}")
    tables, files = released(spec), [find_weights(given) for given in weights]
    check_run_folder(out, resume=False, overwrite=overwrite)
    cache = load_cache(data, tables)
    with needs("train"):
        from edgegenre.checkpoint import save_checkpoint
        from edgegenre.models import build
        from edgegenre.models.joined.base import Joined
        from edgegenre.pretrained import load_members, load_weights
        from edgegenre.train.frozen.fit_head import fit_head as fit

        config = ModelConfig(model, len(cache.labels), 0.0)
        network = build(config)
        loaded = load_members(network, files) if isinstance(network, Joined) else [load_weights(network, files[0])]
        typer.echo("\n".join(one.summary() for one in loaded))
        about = {
            "data": str(data),
            "features": str(data.resolve()),
            "command": command_line(),
            "weights": " ".join(weights),
        }
        parts = SPLIT_NAMES if all_parts else ("train",)
        with progress_bar("features") as show:
            fitted = fit(network, config, cache, tables, parts, inverse_penalty, about, show, tag_prior)
    make_folder(out)
    best = out / "best.safetensors"
    save_checkpoint(best, fitted.checkpoint)
    accuracy = "the validation tracks are among them" if fitted.valid is None else _accuracy(fitted.valid.summary())
    typer.echo(f"{best}: fitted on {fitted.n_tracks} tracks; {accuracy}")


def _accuracy(summary: dict[str, object]) -> str:
    return f"validation accuracy {summary['track_accuracy']:.3f} of {summary['n_tracks']} tracks"
