"""Whatever the environment says, settings are made or refused in a sentence that tells no secret."""

import os
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from dora_state.settings import Settings, load_settings
from tests.support.hostile import TEXTS
from tests.support.refusals import refusal_of

SECRET = "s3cr3t-Wort"
NAMES = [f"DORA_STATE_{name.upper()}" for name in Settings.model_fields]
SECRETS = ["DORA_STATE_DATABASE_URL", "DORA_STATE_REDIS_URL", "DORA_STATE_BROKER_URL", "DORA_STATE_READ_DATABASE_URL"]
URLS = [
    f"postgresql://u:{SECRET}@h/db", f"redis://u:{SECRET}@h:6379/0", f"postgresql://u:{SECRET}@h:x/db", f"://{SECRET}",
    f"redis://:{SECRET}@h:99999999/x", f"postgresql://u:{SECRET}@[::1/db", f"unix://{SECRET}?db=x", f"http://{SECRET}/%",
    f"host=h password={SECRET}",
]  # fmt: skip
PLAIN = [
    "1",
    "0",
    "-1",
    "4",
    "1e3",
    "true",
    "yes",
    "json",
    "text",
    "debug",
    "auto",
    "UTC",
    "Europe/Amsterdam",
    "http://x",
]
letters = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
texts = (
    st.sampled_from([one for one in TEXTS if "\0" not in one and len(one) < 1000]) | st.sampled_from(PLAIN) | letters
)


@given(
    plain=st.dictionaries(st.sampled_from(NAMES), texts, max_size=4),
    secret=st.dictionaries(st.sampled_from(SECRETS), st.sampled_from(URLS), max_size=2),
    files=st.dictionaries(
        st.sampled_from([f"{name}_FILE" for name in SECRETS]),
        st.sampled_from(["", ".", "/", "missing", "\udcff", "a" * 300]),
        max_size=1,
    ),
)
def test_any_environment_is_settings_or_a_sentence_without_a_secret(
    plain: dict[str, str], secret: dict[str, str], files: dict[str, str]
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DORA_STATE_")}
    with patch.dict(os.environ, kept | plain | secret | files, clear=True):
        made: list[Settings] = []
        refused = refusal_of(lambda: made.append(load_settings()))
    if refused is not None:
        assert isinstance(refused, InvalidInput)
        assert SECRET not in f"{refused} {refused.facts!r}"
    for one in made:
        assert isinstance(one.home, Path)
        assert SECRET not in f"{one!r} {one.model_dump_json()}"
