"""``edgegenre soft-labels``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.errors import UsageError

from ..common import check_output, check_suffix, command_line, needs, progress_bar, require_installed

__all__ = ["network_and_weights", "soft_labels"]


def soft_labels(
    data: Annotated[Path, typer.Argument(help="Feature cache (.npz) with a split.")],
    network: Annotated[list[str], typer.Option(help="MODEL=WEIGHTS of a network that hears the tracks; repeat.")],
    out: Annotated[Path, typer.Option(help="File of soft labels (.npz) to write.")],
    equalized: Annotated[
        list[str] | None, typer.Option(help="MODEL=WEIGHTS that hears them half-way equalized; repeat.")
    ] = None,
    unlabeled: Annotated[Path | None, typer.Option(help="Cache of `data unlabeled`, labeled too.")] = None,
    spec: Annotated[str, typer.Option(help="Front-end of the caches; not necessarily the student's.")] = "seed3s",
    inverse_penalty: Annotated[float, typer.Option(help="Inverse strength of the penalty (scikit-learn's C).")] = 1e-3,
) -> None:
    """Ask frozen networks about every track: a regression on their features, fitted on other artists' tracks.

    A training track's probabilities are out of fold; a regression on all training tracks answers the rest.

    Example: `edgegenre soft-labels gtzan_seed3s.npz --network artist=artist.npz --network mn04=mn04.pt --out soft.npz`
    """
    require_installed("train", "torch", "sklearn", "safetensors")
    check_suffix(out, ".npz")
    check_output(out)
    networks = [(*network_and_weights(text), 0.0) for text in network] + [
        (*network_and_weights(text), 0.5) for text in equalized or ()
    ]
    from edgegenre_runtime.frontend import released

    with needs("train"):
        from edgegenre.data.feature_cache import load_cache
        from edgegenre.train.frozen.feature_teacher import ask
        from edgegenre.train.frozen.soft_labels import save_soft_labels

        tables = released(spec)
        caches = [load_cache(path, tables) for path in (data, unlabeled) if path is not None]
        with progress_bar("features") as show:
            result = ask(caches[0], caches[1:], tables, networks, inverse_penalty, command_line(), show)
    save_soft_labels(result.soft, out)
    typer.echo(
        f"{out}: {len(result.soft.names)} tracks; right about {result.train_accuracy:.3f} of the training tracks (out "
        f"of fold) and {result.valid_accuracy:.3f} of the validation tracks"
    )


def network_and_weights(text: str) -> tuple[str, Path]:
    """Return model and weights of ``MODEL=WEIGHTS``; raises :class:`UsageError`."""
    from edgegenre.models import check_name
    from edgegenre.weight_files import find_weights

    name, is_pair, source = text.partition("=")
    if not is_pair or not source:
        raise UsageError(f"{text!r} is not MODEL=WEIGHTS, such as artist=artist_siamese10000.npz")
    return check_name(name), find_weights(source)
