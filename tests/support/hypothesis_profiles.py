"""How hard the property tests try; a pytest plugin that pyproject.toml names.

`dev` looks at new examples in every run, `ci` at the same ones and prints how to repeat a failure, `long` at
very many, `fuzz` at as many as a round of `make fuzz` has, `mutation` at few and the same ones for each mutant, of
which the first that fails says enough. Choose by the variable HYPOTHESIS_PROFILE or by
`--hypothesis-profile`.
"""

import os

from hypothesis import Phase, settings

# No deadlines: on two busy cores an example that takes long says nothing about the code.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=5_000, print_blob=True)
settings.register_profile("fuzz", deadline=None, max_examples=300, database=None, print_blob=True)
settings.register_profile(
    "mutation", deadline=None, derandomize=True, max_examples=20, phases=(Phase.explicit, Phase.generate), database=None
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
