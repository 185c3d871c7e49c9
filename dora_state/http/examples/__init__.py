"""Examples of the OpenAPI document: they tell one short story."""
