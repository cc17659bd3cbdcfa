"""Models of `transformers`: finding one on this machine, its complete configuration, and loading its weights.

Nothing here uses the network: a model is a type that transformers knows, a local folder, or in the local cache of the
Hugging Face Hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from mtlbench.encoders.weights.account import Account, listed
from mtlbench.encoders.weights.files import data_folders
from mtlbench.encoders.weights.fit import require_finite
from mtlbench.encoders.weights.read import Checkpoint
from mtlbench.errors import DataError, UsageError, did_you_mean

__all__ = [
    "backbone",
    "complete_config",
    "load_backbone",
    "model_normalisation",
    "model_weights",
    "tapped_stages",
]

_CONFIG = "config.json"
_PROCESSOR = "preprocessor_config.json"
_WEIGHTS = "model.safetensors"
_TAPS = 4
_LEFT_OUT = (
    (r"(?:[^.]+\.)?(?:classifier|cls_classifier|head|fc|pooler)\..+", "classifier"),
    (r"(?:[^.]+\.)?layernorm\.(?:weight|bias)", "norm before the classifier"),
    (r"(?:.+\.)?mask_token", "masked pre-training"),
)
_OPTIONAL = r"hidden_states_norms\..+"
"""Norms that only the backbone has; a classifier's weights leave them at their start values."""


def complete_config(model: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """All that shapes a backbone, every default written out, `model_type` among it.

    Args:
        model: a model type, a local folder or a name on the Hub; None where `overrides` is complete.
        overrides: replace what the model's configuration says.

    Raises:
        DataError: the model is not on this machine.
        UsageError: transformers is missing, has no such backbone, or refuses the configuration.
    """
    transformers = _transformers()
    folder = None if model is None else _folder(model)
    written = {"model_type": model} if folder is None else _read_json(folder / _CONFIG)
    if model is not None and overrides.get("model_type") not in {None, written.get("model_type")}:
        raise UsageError(
            f"the model is a {written.get('model_type')}, its config says {overrides['model_type']!r}",
            fix="Leave model_type out of `config`",
        )
    written = written | dict(overrides)
    model_type = written.get("model_type")
    if model_type not in _backbone_types():
        raise UsageError(
            f"transformers {transformers.__version__} has no backbone of model type {model_type!r}",
            fix=did_you_mean(str(model_type), _backbone_types()),
        )
    known = set(_as_json(_config({"model_type": model_type})))
    for key in overrides:
        if key not in known:
            raise UsageError(f"{model_type} has no configuration {key!r}", fix=did_you_mean(key, known))
    return _as_json(_config({key: value for key, value in written.items() if key in known}))


def tapped_stages(config: Mapping[str, Any]) -> list[int]:
    """Up to four evenly spaced stages, the last among them: all four of a pyramid, blocks 3, 6, 9 and 12 of a ViT.

    Raises:
        UsageError: the model has no stages.
    """
    names: list[str] | None = getattr(_config(config), "stage_names", None)
    if names is None:
        raise UsageError(
            f"{config['model_type']} of transformers has no stages to take feature maps from",
            fix="Choose another model",
        )
    stem = sum(name == "stem" for name in names)
    stages = len(names) - stem
    count = min(_TAPS, stages)
    return [stem - 1 + -(-stages * (i + 1) // count) for i in range(count)]


def backbone(config: Mapping[str, Any], out_indices: list[int]) -> Any:
    """A backbone with random weights, in evaluation mode.

    Raises:
        UsageError: transformers is missing, or refuses the configuration.
    """
    complete = _config(config, out_indices=out_indices)
    try:
        return _transformers().AutoBackbone.from_config(complete).eval()
    except Exception as error:  # transformers raises whatever a configuration leads it to
        raise _refused(config["model_type"], error) from error


def model_weights(model: str | None) -> Path:
    """The safetensors file beside a model's configuration.

    Raises:
        DataError: there is none.
    """
    folder = None if model is None else _folder(model)
    if folder is None:
        raise DataError(
            f"{model!r} names no weights" if model else "no model is named whose weights to take",
            fix="Name a folder with config.json and model.safetensors, or a cached name on the Hub, as `model`",
        )
    file = folder / _WEIGHTS
    if not file.is_file():
        raise DataError(
            f"no {_WEIGHTS} beside {_CONFIG}",
            where=str(folder),
            fix="Save the model with save_pretrained in one safetensors file, or give a file as `weights`",
        )
    return file.absolute()


def model_normalisation(model: str | None) -> tuple[list[float], list[float]] | None:
    """(mean, std) that the model's image processor uses; None where it says nothing."""
    folder = None if model is None else _folder(model)
    if folder is None or not (folder / _PROCESSOR).is_file():
        return None
    processor = _read_json(folder / _PROCESSOR)
    if processor.get("do_normalize") is False:
        return [0.0] * 3, [1.0] * 3
    mean, std = processor.get("image_mean"), processor.get("image_std")
    return None if mean is None or std is None else ([float(v) for v in mean], [float(v) for v in std])


def load_backbone(module: Any, checkpoint: Checkpoint, digest: str, name: str) -> Account:
    """Load weights into a backbone; transformers renames the keys of older versions and of models around it.

    Raises:
        DataError: a weight is missing, unexpected or of another shape.
    """
    transformers = _transformers()
    with _quiet():
        loaded, found = type(module).from_pretrained(
            None,
            config=module.config,
            state_dict=dict(checkpoint.tensors),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    state: dict[str, Tensor] = loaded.state_dict()
    missing = sorted(found["missing_keys"])
    wrong = {key: f"{list(theirs)}, not {list(ours)}" for key, theirs, ours in found["mismatched_keys"]}
    reasons = {key: _reason(key) for key in sorted(found["unexpected_keys"])}
    account = Account(
        file=checkpoint.path.name,
        sha256=digest,
        layout=f"{module.config.model_type} of transformers {transformers.__version__}",
        loaded=tuple(key for key in state if key not in wrong and key not in found["missing_keys"]),
        left_out={key: why for key, why in reasons.items() if why},
        missing=tuple(missing),
        unexpected=tuple(key for key, why in reasons.items() if not why),
        notes=(*checkpoint.notes, "what transformers derives from the architecture is not listed"),
    )
    lacking = [key for key in missing if not re.fullmatch(_OPTIONAL, key)]
    faults = {
        "missing from the file": lacking,
        "unexpected in the file": account.unexpected,
        "of another shape": [f"{key} is {how}" for key, how in wrong.items()],
    }
    if any(faults.values()):
        text = "; ".join(f"{what}: {listed(keys)}" for what, keys in faults.items() if keys)
        raise DataError(
            f"these weights do not fit {name} ({account.layout}): {text}",
            where=str(checkpoint.path),
            fix="Name the model that the weights belong to, or set its `config` to their architecture",
        )
    require_finite(checkpoint, state)
    module.load_state_dict(state)
    return account


def _reason(key: str) -> str | None:
    return next((why for pattern, why in _LEFT_OUT if re.fullmatch(pattern, key)), None)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError(
            "encoder hf needs transformers, which is not installed", fix="pip install 'mtlbench[hf]'"
        ) from error
    return transformers


def _backbone_types() -> list[str]:
    _transformers()
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING_NAMES

    return list(MODEL_FOR_BACKBONE_MAPPING_NAMES)


def _as_json(config: Any) -> dict[str, Any]:
    """A configuration without what every one has (labels, versions) and what `out_indices` sets."""
    every = _transformers().PretrainedConfig().to_dict()
    generic = {*every, "out_features", "out_indices", "stage_names", "torch_dtype"} - {"model_type"}
    written = json.loads(config.to_json_string(use_diff=False))
    return {key: written[key] for key in sorted(written) if key not in generic}


def _config(config: Mapping[str, Any], **more: Any) -> Any:
    """The configuration object of transformers."""
    try:
        return _transformers().AutoConfig.for_model(**config, **more)
    except Exception as error:  # transformers raises whatever a configuration leads it to
        raise _refused(config["model_type"], error) from error


def _refused(model_type: str, error: Exception) -> UsageError:
    reason = str(error).strip().split("\n")[0]
    return UsageError(
        f"transformers refuses {model_type}: {reason}", fix="Change its `config` or `out_indices`"
    )


def _folder(model: str) -> Path | None:
    """The folder with the configuration of a model; None for a bare model type."""
    for root in data_folders(model):
        if (root / _CONFIG).is_file():
            return root
    if model in _backbone_types():
        return None
    cached = _cached(model)
    if cached is not None:
        return cached
    raise DataError(
        f"{model!r} is no model type with a backbone, no folder with {_CONFIG}, and not in the Hugging Face cache of "
        "this machine (mtlbench downloads nothing)",
        fix=f"{did_you_mean(model, _backbone_types())}; or download it first: hf download {model}",
    )


def _cached(model: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, _CONFIG)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"this is no JSON: {error}", where=str(path), fix="Download the model again"
        ) from error
    if not isinstance(content, dict):
        raise DataError("this is no JSON object", where=str(path), fix="Download the model again")
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bar and the load report of transformers: the account says it all."""
    logging = _transformers().utils.logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
