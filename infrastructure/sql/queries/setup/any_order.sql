-- Functions may name others that come after them.
SET LOCAL check_function_bodies = off
