"""A RunEngine's documents to Kafka, from inside its process: ``RE.subscribe(Publisher("kafka://host:9092/topic"))``."""

from wpb_stream.publishing.publisher import Publisher as Publisher
