"""Commands, their handlers, and the bus. Pure but for the ports that the composition root hands in."""
