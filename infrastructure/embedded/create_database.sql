CREATE DATABASE dora_state OWNER dora_state
