"""Settings that don't go together, or can't be what they should, are named with what to write instead."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import InvalidInput
from dora_state.settings import Settings, load_settings
from tests.support.refusals import all_told

ISSUER = "https://login.bank.example/realms/agents"
NUMBERS = sorted(
    name for name, field in Settings.model_fields.items() if field.annotation in (int, float, int | None, float | None)
)


def test_an_issuer_and_an_audience_are_enough_for_tokens() -> None:
    settings = load_settings(oidc_issuer=ISSUER, oidc_audience="dora-state", oidc_jwks_url="")
    assert (settings.oidc_jwks_url, settings.oidc_role_claim, settings.oidc_tenant_claim) == (None, "roles", "tenant")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"oidc_issuer": ISSUER}, "DORA_STATE_OIDC_ISSUER and DORA_STATE_OIDC_AUDIENCE go together"),
        ({"oidc_audience": "dora-state"}, "DORA_STATE_OIDC_ISSUER and DORA_STATE_OIDC_AUDIENCE go together"),
        ({"oidc_issuer": "http://login.bank.example"}, "DORA_STATE_OIDC_ISSUER: is no URL of an issuer"),
        ({"oidc_jwks_url": "ftp://login.bank.example"}, "DORA_STATE_OIDC_JWKS_URL: is no URL of an issuer"),
        ({"oidc_clock_skew": 3600}, "DORA_STATE_OIDC_CLOCK_SKEW"),
        ({"oidc_tenant_claim": ""}, "DORA_STATE_OIDC_TENANT_CLAIM"),
    ],
)
def test_settings_of_tokens_that_would_let_the_wrong_ones_in_are_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_settings(**given)
    assert says in str(refused.value)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300", "-1", "9" * 400])
@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_is_without_bounds(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DORA_STATE_{name.upper()}", value)
    with pytest.raises(InvalidInput, match=f"DORA_STATE_{name.upper()}: .*correct it and start again"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METRICS_HOST", "a..b"),
        ("METRICS_HOST", "a" * 64),
        ("METRICS_HOST", "0.0.0.0:9464"),
        ("METRICS_HOST", " "),
        ("TRACES_URL", "http://a..b/v1/traces"),
        ("TRACES_URL", "http://a,b:4318"),
        ("TRACES_URL", "http://:4318"),
        ("TRACES_URL", "http://h:99999999"),
        ("OIDC_ISSUER", "https://a..b"),
        ("OIDC_ISSUER", "https://a,b"),
    ],
)
def test_a_host_that_can_not_be_asked_for_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DORA_STATE_{name}", value)
    with pytest.raises(InvalidInput, match=f"DORA_STATE_{name}: is no .* write it like"):
        load_settings()


@pytest.mark.parametrize("name", ["HOME", "METRICS_HOST", "TRACES_URL", "DATABASE_URL", "REDIS_URL", "OIDC_ISSUER"])
def test_a_setting_of_a_place_that_is_blank_is_as_if_it_were_not_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"DORA_STATE_{name}", raising=False)
    default = load_settings()
    monkeypatch.setenv(f"DORA_STATE_{name}", "")
    assert load_settings() == default


@pytest.mark.parametrize("given", [{"redis_url": "redis://:12/hunter2@h/0"}])
def test_nothing_of_a_refused_url_stands_in_pydantics_own_error(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**given)
    assert "hunter2" not in all_told(refused.value)
