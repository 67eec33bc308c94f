"""What the Publisher says at once of its address and its options."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.client import Publisher
from wpb_stream.core.exceptions import ServiceError


@pytest.mark.parametrize("url", ["kafka://host:9092", "kafka://host:9092/a,b", "kafka://host:9092/*.documents", "host:9092/topic"])
def test_an_address_of_no_single_topic_is_told_at_once(url: str) -> None:
    with pytest.raises(ServiceError, match=r"kafka://host:9092/topic"):
        Publisher(url)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"security_protocol": "TLS"}, "security_protocol must be one of"),
        ({"fetch_max_bytes": 1}, "'fetch_max_bytes' is not an option here"),
        ({"compression_type": "rar"}, "compression_type must be one of gzip, snappy, lz4, zstd, and is 'rar'"),
        ({"security_protocol": "SASL_SSL", "sasl_plain_username": "u"}, "sasl_plain_password is missing"),
        ({"sasl_plain_password": "a secret"}, "sasl_plain_password without security_protocol SASL_PLAINTEXT or SASL_SSL would mean no"),
    ],
)
def test_a_mistake_in_the_options_is_told_at_once(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ServiceError, match=f"options of the Publisher: {told}") as error:
        Publisher("kafka://host:9092/topic", options=options)
    assert "a secret" not in str(error.value)
