"""What gets into medical images when they are taken: hair, rulers, exposure, dust, streaks."""

ARTEFACTS: dict[str, type] = {}
