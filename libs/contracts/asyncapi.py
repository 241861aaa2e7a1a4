"""The topics as an AsyncAPI 3.0.0 document, with the Kafka bindings 0.5.0. Pure."""

from collections.abc import Iterable
from typing import Any

from libs.contracts.topics import PARTITIONS, Topic

HEADERS = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_shop"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string"},
        "ce_source": {"type": "string", "description": "who says it"},
        "ce_type": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time", "description": "when it happened"},
        "ce_shop": {"type": "string", "description": "the tenant"},
        "content-type": {"const": "application/json; charset=utf-8"},
        "traceparent": {"type": "string", "description": "W3C Trace Context"},
    },
}
"""CloudEvents 1.0, Kafka Protocol Binding, binary mode."""
INBOX = {
    "name": "CloudEvent",
    "summary": "A CloudEvent in JSON, structured mode; `source` is /shops/<shop>/...",
    "contentType": "application/cloudevents+json",
    "payload": {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            **{name: {"type": "string"} for name in ("specversion", "id", "source", "type", "time", "subject")},
            "data": {"type": "object"},
        },
    },
}


def document(topics: Iterable[Topic]) -> dict[str, Any]:
    """The whole document; payloads refer to the JSON Schemas beside it."""
    topics = list(topics)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kurant",
            "version": "1.0.0",
            "description": "Every topic of Kurant. Generated from libs/contracts/topics.py.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": {name: told for topic in topics for name, told in _operations(topic).items()},
        "components": {"messageTraits": {"CloudEvent": {"headers": HEADERS}}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    milliseconds = int(topic.retention.total_seconds() * 1000) if topic.retention else -1
    return {
        "address": topic.name,
        "description": topic.says,
        "messages": _messages(topic) if topic.messages else {"CloudEvent": INBOX},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions or PARTITIONS,
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if topic.compacted else "delete"],
                    "retention.ms": milliseconds,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _messages(topic: Topic) -> dict[str, Any]:
    return {
        message.__name__: {
            "name": message.TYPE or "the type of the event",
            "summary": (message.__doc__ or "").strip().splitlines()[0],
            "traits": [{"$ref": "#/components/messageTraits/CloudEvent"}],
            "payload": {"$ref": f"schemas/{topic.name}.json#/$defs/{message.__name__}"},
            "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
        }
        for message in topic.messages
    }


def _operations(topic: Topic) -> dict[str, Any]:
    roles = (("send", topic.producers), ("receive", topic.consumers))
    return {
        f"{service}.{action}.{topic.name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic.name}"},
            "tags": [{"name": service}],
        }
        for action, services in roles
        for service in sorted(services)
    }
