"""The official SDK and genesys-notifications against the simulator.

The SDK logs in, creates a channel, subscribes, reads queues and conversations and sets a recording state;
genesys-notifications receives the events of it. Ends with the word `served`.
"""

import asyncio
import logging
import sys
import warnings

# genesys-notifications 1.3 imports a name that websockets has declared old.
warnings.simplefilter("ignore", DeprecationWarning)

import genesys_notifications  # noqa: E402
import PureCloudPlatformClientV2 as sdk  # noqa: E402
from PureCloudPlatformClientV2.rest import ApiException  # noqa: E402

API_URL, CLIENT_ID, CLIENT_SECRET, CONVERSATION = sys.argv[1:]
PATIENCE = 300


class Channel(genesys_notifications.Channel):
    """Version 1.3 gives `asyncio.wait` a coroutine, which Python refuses since 3.11: here it is a task."""

    async def connect(self):
        await super().connect()
        receive = self._connection.recv
        self._connection.recv = lambda: asyncio.ensure_future(receive())


def log_in():
    sdk.configuration.host = API_URL
    client = sdk.api_client.ApiClient()
    assert client.get_conf_url("login", client.host) == API_URL
    return client.get_client_credentials_token(CLIENT_ID, CLIENT_SECRET)


def refused(status, code, call, *arguments):
    try:
        call(*arguments)
    except ApiException as error:
        assert error.status == status, (error.status, error.body)
        assert f'"{code}"' in error.body, error.body
        return
    raise AssertionError(f"{status} {code} expected")


def subscribe(client):
    notifications, routing, users = sdk.NotificationsApi(client), sdk.RoutingApi(client), sdk.UsersApi(client)
    queues = routing.get_routing_queues(page_size=100).entities
    assert "Payments" in [queue.name for queue in queues], queues
    assert routing.get_routing_queue(queues[0].id).name == queues[0].name
    assert users.get_users(page_size=5).entities[0].email.endswith("@example.com")
    available = notifications.get_notifications_availabletopics(expand=["permissionDetails"]).entities
    assert "v2.routing.queues.{id}.conversations" in [topic.id for topic in available]

    channel = notifications.post_notifications_channels()
    assert channel.expires is not None
    notifications.head_notifications_channel(channel.id)
    topics = [f"v2.routing.queues.{queue.id}.conversations" for queue in queues]
    body = []
    for topic in topics:
        one = sdk.ChannelTopic()
        one.id = topic
        body.append(one)
    notifications.put_notifications_channel_subscriptions(channel.id, body)
    subscribed = notifications.get_notifications_channel_subscriptions(channel.id).entities
    assert sorted(one.id for one in subscribed) == sorted(topics)
    bad = sdk.ChannelTopic()
    bad.id = "v2.no.such.topic"
    refused(
        400,
        "notification.invalid.topic",
        notifications.post_notifications_channel_subscriptions,
        channel.id,
        [bad],
    )
    return channel, topics


def read(client):
    conversations = sdk.ConversationsApi(client)
    whole = conversations.get_conversation(CONVERSATION)
    assert whole.recording_state == "ACTIVE", whole.recording_state
    purposes = [participant.purpose for participant in whole.participants]
    assert purposes == ["customer", "ivr", "acd", "agent"], purposes
    assert whole.participants[3].calls[0].recording_state == "active"
    flat = conversations.get_conversations_call(CONVERSATION)
    assert flat.recording_state == "active" and flat.participants[3].queue.id is not None
    unknown = "00000000-0000-4000-8000-000000000000"
    refused(404, "conversation.error.conversation.not.found", conversations.get_conversation, unknown)
    refused(400, "not.a.user", conversations.get_conversations_calls)

    metric = sdk.ConversationActivityQueryMetric()
    metric.metric, metric.details = "oInteracting", True
    query = sdk.ConversationActivityQuery()
    query.metrics, query.group_by = [metric], ["conversationId"]
    found = sdk.AnalyticsApi(client).post_analytics_conversations_activity_query(query, page_size=100).results
    assert CONVERSATION in [result.group["conversationId"] for result in found], found
    assert CONVERSATION in [entity.conversation_id for result in found for entity in result.entities], found


def set_recording(client, state, how):
    body = sdk.SetRecordingState()
    body.recording_state = state
    conversations = sdk.ConversationsApi(client)
    if how == "put":
        assert conversations.put_conversations_call_recordingstate(CONVERSATION, body) == state
    else:
        conversations.patch_conversation_recordingstate(CONVERSATION, body)


async def event_where(channel, fits):
    async def next_fitting():
        async for event in channel:
            body = event["eventBody"]
            if body.get("id") == CONVERSATION and fits(body):
                assert event["topicName"].endswith(".conversations"), event["topicName"]
                assert event["metadata"]["CorrelationId"]
                return body
        raise AssertionError("the channel ended")

    return await asyncio.wait_for(next_fitting(), PATIENCE)


async def main():
    client = log_in()
    channel, topics = subscribe(client)
    logger = logging.getLogger("foreign")
    events = Channel(channel.connect_uri, topics, logger=logger)
    await events
    await event_where(events, lambda body: body["recordingState"] == "active")
    read(client)
    for state, how in [("PAUSED", "put"), ("ACTIVE", "put"), ("PAUSED", "patch"), ("ACTIVE", "patch")]:
        await asyncio.to_thread(set_recording, client, state, how)
        secure = state == "PAUSED"
        body = await event_where(events, lambda body: body["securePause"] is secure)
        assert body["recordingState"] == state.lower(), body["recordingState"]
    await events.close()
    print("served")


asyncio.run(main())
