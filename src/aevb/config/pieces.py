"""The options of registered pieces as options of a configuration: their checks and their help texts."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from aevb.errors import BadInput
from aevb.models.options import PieceOptions
from aevb.models.registry import Registry, is_plugin

Registries = Mapping[str, Registry[Any]]
UNKNOWN_PIECE = "unknown_piece"
"""The type of the validation error of a name that is not registered; its message is complete."""


def options_class(piece: Any) -> type[PieceOptions]:
    """Return the options model of a piece; the empty one if it declares none."""
    options: type[PieceOptions] = getattr(piece, "Options", PieceOptions)
    return options


def piece_options(piece: Any, values: Mapping[str, Any]) -> PieceOptions:
    """Return the options of a piece, from values among which may be options of other pieces."""
    options = options_class(piece)
    return options.model_validate({name: value for name, value in values.items() if name in options.model_fields})


def owners(registries: Registries, fields: Mapping[str, Any]) -> dict[str, dict[str, type[PieceOptions]]]:
    """Return for each option the pieces that own it, by name.

    Args:
        registries: the registries of one section.
        fields: the section's own fields.

    Raises:
        BadInput: pieces of two kinds own an option of the same name, or a field of the section has its name.
    """
    result: dict[str, dict[str, type[PieceOptions]]] = {}
    kinds: dict[str, str] = {}
    for registry in registries.values():
        for name, piece in registry.items():
            for option in options_class(piece).model_fields:
                other = "configuration itself" if option in fields else kinds.setdefault(option, registry.kind)
                if other != registry.kind:
                    raise BadInput(
                        f"the option {option!r} of the {registry.kind} {name!r} belongs to the {other} too: rename it"
                    )
                result.setdefault(option, {})[name] = options_class(piece)
    return result


def check_names(registries: Registries, values: Mapping[str, Any]) -> None:
    """Check the names of pieces among the values of a section.

    Raises:
        ValidationError: a name is not registered.
    """
    for field, registry in registries.items():
        name = values.get(field)
        if isinstance(name, str) and name not in registry:
            try:
                registry[name]
            except BadInput as error:
                text = str(error).replace("{", "{{").replace("}", "}}")
                _fail(field, name, PydanticCustomError(UNKNOWN_PIECE, text))


def check_options(section: type[BaseModel], registries: Registries, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a section with the options of pieces validated; None means the default.

    Raises:
        ValidationError: an option is unknown, or its value does not suit the piece that owns it.
    """
    fields = section.model_fields
    result = {name: value for name, value in values.items() if name in fields or value is not None}
    extra = [name for name in result if name not in fields]
    if extra:
        owned = owners(registries, fields)
        chosen = {str(values.get(field, fields[field].default)) for field in registries}
        for name in extra:
            if name not in owned:
                _fail(name, result[name], "extra_forbidden")
            candidates = owned[name]
            options = next((candidates[piece] for piece in candidates if piece in chosen), None)
            options = options or next(iter(candidates.values()))
            result[name] = getattr(options.model_validate({name: result[name]}), name)
    return result


def option_fields(registries: Registries) -> dict[str, tuple[Any, Any]]:
    """Return a field definition for each option of the pieces of a section, with its owners in the description."""
    kinds = {option: registry.kind for registry in registries.values() for option in owners({"": registry}, {})}
    result = {}
    for option, pieces in owners(registries, {}).items():
        info = next(iter(pieces.values())).model_fields[option]
        default, stated = _common_default(
            {name: piece.model_fields[option].get_default() for name, piece in pieces.items()}
        )
        text = f"{info.description or ''}{stated} ({kinds[option]} {', '.join(pieces)})"
        annotation: Any = info.rebuild_annotation()
        result[option] = (annotation | None, Field(default, description=text.strip()))
    return result


def _common_default(defaults: Mapping[str, object]) -> tuple[object, str]:
    """Return the default of all pieces; if they differ, None and a sentence with the default of each."""
    values = list(defaults.values())
    if all(value == values[0] for value in values):
        return values[0], ""
    return None, f" Default: {', '.join(f'{value} ({name})' for name, value in defaults.items())}."


def summaries(registry: Registry[Any]) -> str:
    """Return the names of all pieces of a kind, each with the first clause of its docstring."""
    return "; ".join(f"{name}: {re.split('[;:(]', registry.summary(name))[0].strip()}" for name in registry) + "."


def _fail(name: str, value: Any, kind: str | PydanticCustomError) -> NoReturn:
    details = InitErrorDetails(type=kind, loc=(name,), input=value)
    raise ValidationError.from_exception_data("options", [details])


def used_plugins(registries: Registries, values: BaseModel) -> list[str]:
    """Return the modules outside this package that registered the pieces that a section names."""
    names = {field: getattr(values, field) for field in registries}
    modules = [registry.module(names[field]) for field, registry in registries.items() if names[field] in registry]
    return [module for module in modules if is_plugin(module)]
