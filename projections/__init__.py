"""From events to documents: projections, the projector that runs them, and the queries. Does no I/O."""
