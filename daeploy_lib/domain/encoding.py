"""
A spec as JSON text, for the registry and for the engine's labels.

Environment values are left out on purpose: labels can be read by anybody who
may ask the engine, and the registry outlives the secret. Their names stay.
"""

import json

import attrs

from daeploy_lib.domain.spec import Hardening, Mount, Readiness, Resources, Spec


def spec_to_json(spec: Spec) -> str:
    """
    Return *spec* as JSON text, without environment values.

    Example:
        >>> spec = Spec("default", "hello", "1.0.0", environment={"KEY": "secret"})
        >>> "secret" in spec_to_json(spec)
        False
    """
    fields = attrs.asdict(spec, recurse=True)
    fields["environment"] = sorted(spec.environment)
    return json.dumps(fields, separators=(",", ":"), sort_keys=True)


def spec_from_json(text: str) -> Spec:
    """
    Return the spec that ``spec_to_json`` wrote; environment values are empty.

    Raises:
        ValueError: If the text is not such a spec.

    Example:
        >>> spec = Spec("default", "hello", "1.0.0", port=9000)
        >>> spec_from_json(spec_to_json(spec)) == spec
        True
    """
    try:
        fields = json.loads(text)
        return Spec(
            project=fields["project"],
            name=fields["name"],
            version=fields["version"],
            port=fields["port"],
            environment=dict.fromkeys(fields["environment"], ""),
            command=fields["command"],
            mounts=[Mount(**mount) for mount in fields["mounts"]],
            resources=Resources(**fields["resources"]),
            hardening=Hardening(**fields["hardening"]),
            readiness=Readiness(**fields["readiness"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"Not the JSON of a spec: {error}") from error
