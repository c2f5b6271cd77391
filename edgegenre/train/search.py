"""Search for training options, with Optuna; each trial is validated on the validation tracks, never on the test."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from edgegenre.augment.spectrogram import AUGMENT_PRESETS, augment_preset
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.models import ModelConfig
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import Tables

from . import TrainOptions, train
from .loggers import figure_name_of, valid_figures

__all__ = ["TuneResult", "tune"]

_STUDY = "edgegenre"
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclasses.dataclass(frozen=True, slots=True)
class TuneResult:
    """The best trial: its number, figure on the validation tracks, parameters; and the number of finished trials.

    The figure is the accuracy, of several labels a track the mean average precision; ``figure_name`` says which.
    """

    number: int
    valid_figure: float
    figure_name: str
    parameters: dict[str, Any]
    n_finished: int

    def train_arguments(self) -> str:
        """Return the parameters as ``edgegenre train`` takes them."""
        return " ".join(f"--{name.replace('_', '-')} {_text(value)}" for name, value in self.parameters.items())


def tune(
    cache: FeatureCache,
    tables: Tables,
    config: ModelConfig,
    options: TrainOptions,
    storage: Path,
    n_trials: int,
    report: Callable[[str], None] = print,
) -> TuneResult:
    """Search until a study has ``n_trials`` finished trials; a study that was stopped continues.

    Parameters are sampled by Optuna's tree-structured Parzen estimator, and a trial whose best figure so far is
    below the median of earlier trials at the same epoch is pruned. Searched: learning rate, weight decay, label
    smoothing, augmentation and weight average.

    Parameters
    ----------
    cache, tables, config
        What to train, as in :func:`edgegenre.train.train`.
    options
        Options that are not searched; the seed is also the seed of the search.
    storage
        SQLite file of the study.
    n_trials
        Number of finished trials to reach.
    report
        Called with one line per trial.

    Raises
    ------
    DataError
        If the storage is not a study or cannot be written.
    UsageError
        If the study was started with other data, network or options, or no trial was completed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    figure_name = figure_name_of(cache.task_kind)
    study = _open(storage, {"model": config.name, "data": _fingerprint(cache), **_fixed(options)}, options.seed)

    def objective(trial: optuna.Trial) -> float:
        chosen = _suggest(trial)
        best = 0.0

        def on_epoch(row: dict[str, float]) -> None:
            nonlocal best
            best = max(best, valid_figures(row)[0])
            trial.report(best, int(row["epoch"]))
            if trial.should_prune():
                raise optuna.TrialPruned

        changes = {**chosen, "augment": augment_preset(chosen["augment"])}
        with tempfile.TemporaryDirectory() as folder:
            trial_options = dataclasses.replace(options, **changes)
            train(
                cache,
                tables,
                config,
                trial_options,
                Path(folder),
                about={},
                report=lambda line: None,
                on_epoch=on_epoch,
            )
        return best

    def report_trial(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        figure = "" if trial.value is None else f", {figure_name} {trial.value:.3f}"
        report(f"trial {trial.number + 1}: {trial.state.name.lower()}{figure}  {_arguments(trial.params)}")

    missing = n_trials - len(study.get_trials(states=_FINISHED))
    if missing > 0:
        try:
            study.optimize(objective, n_trials=missing, catch=(UsageError,), callbacks=[report_trial])
        except optuna.exceptions.StorageInternalError as error:
            raise DataError(
                f"{storage}: cannot write the study, is its disk full? The finished trials in it are kept"
            ) from error
    if not study.get_trials(states=(TrialState.COMPLETE,)):
        raise UsageError(f"{storage}: no trial was completed; see the lines above, or raise --trials")
    best = study.best_trial
    n_finished = len(study.get_trials(states=_FINISHED))
    return TuneResult(best.number, float(study.best_value), figure_name, best.params, n_finished)


def _suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2, step=0.05),
        "augment": trial.suggest_categorical("augment", list(AUGMENT_PRESETS)),
        "average": trial.suggest_categorical("average", [0.0, 0.99]),
    }


def _open(storage: Path, about: dict[str, Any], seed: int) -> optuna.Study:
    """Create the study, or open an existing one and check that it searches the same."""
    url = f"sqlite:///{storage.resolve()}"
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
    try:
        study = optuna.create_study(
            storage=url, study_name=_STUDY, direction="maximize", pruner=pruner, load_if_exists=True
        )
    except Exception as error:  # of SQLAlchemy and SQLite, which are not our dependencies
        raise DataError(f"{storage}: cannot be used as a study ({type(error).__name__}); name another file") from error
    # Another seed after each start, or the trials of the first start would be sampled again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + 1009 * len(study.trials))
    known = study.user_attrs or about
    differing = sorted(key for key in about if known.get(key) != about[key])
    if differing:
        key = differing[0]
        raise UsageError(f"{storage}: the study is about {key} {known.get(key)}, not {about[key]}; name another file")
    for key, value in about.items():
        study.set_user_attr(key, value)
    return study


def _fixed(options: TrainOptions) -> dict[str, Any]:
    names = ("epochs", "patience", "batch_size", "crops_per_track", "class_weights", "seed")
    return {name: getattr(options, name) for name in names}


def _fingerprint(cache: FeatureCache) -> str:
    sums = [int(np.asarray(part, dtype=np.int64).sum()) for part in (cache.offsets, cache.y, cache.split)]
    return f"{len(cache.names)} tracks {cache.spec_hash[:12]} {'-'.join(map(str, sums))}"


def _arguments(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in parameters.items())


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
