"""Codes that people are told something by; docs/reference/codes.md explains each. Metrics count by them."""

NOTICES = (
    "no_recipe",
    "no_frames",
    "shape_guessed",
    "recipe_refused",
    "snaking_guessed",
    "regions_guessed",
    "regions_beyond",
    "channel_unknown",
    "arrays_left_out",
    "extents_relative",
    "positions_binned",
    "positions_repeated",
    "positions_refused",
    "positions_uneven",
    "detector_guessed",
    "documents_contradict",
    "points_outside",
    "overrun",
    "frame_missing",
    "frames_differ",
    "arrays_failed",
    "arrays_incomplete",
    "companion_missing",
    "frames_filled",
    "documents_missing",
    "rows_late",
    "not_saved",
    "plan_failed",
    "plan_warning",
    "revision_not_shown",
    "run_lost",
    "internal",
)
"""Of notices: something of a run was lost, or guessed."""
OTHER = "other"
"""Instead of one that is none of these, as a recipe of one's own may have."""
ERRORS = (
    "bad_message",
    "unknown_type",
    "unknown_run",
    "unknown_channel",
    "unknown_revision",
    "frame_unavailable",
    "not_allowed",
    "rate_limited",
    "too_many_subscriptions",
    "internal",
)
"""Of requests that could not be served."""
REFUSALS = ("400", "401", "403", "429", "503", "4401", "4403", "cut", "tls")
"""Of who was not let in: HTTP status, close code, ``tls`` if its handshake was not ended, ``cut`` if too many waited already."""
