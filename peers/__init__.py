"""Other people's attack libraries behind one call; used by tests/references and benchmarks, never by robustdx."""
