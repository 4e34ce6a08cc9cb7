"""Every guarded operation of Slack, once: what is there before, the call, and what its undo leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from agentguard import Outcome
from tests.slack.arranging import (
    RANDOM,
    Kept,
    archived,
    blocks,
    bookmark,
    disabled,
    group,
    later,
    made_channel,
    message,
    opened,
    pinned,
    public,
    reacted,
    reminder,
    scheduled,
    snoozing,
    starred,
    status,
    streaming,
    thread,
    ticket,
    uploaded,
)

BOT, USER = "xoxb-not-a-secret-1234567890", "xoxp-not-a-secret-1234567890"
GENERAL, OPEN = "C0GENERAL", "C0OPEN"
NOTICE = r"channels\.\w+\.messages\.[\d.]+"
RESTORED, COMPENSATED = Outcome.RESTORED, Outcome.COMPENSATED


@dataclass(frozen=True)
class Case:
    """One operation, done and undone."""

    operation: str
    do: Callable[[Any, Kept], Any]
    outcome: Outcome
    residue: tuple[str, ...] = ()
    prepare: Callable[[WebClient], Kept] = lambda _client: {}
    token: str = BOT
    name: str = ""


EDITED = r"channels\.C0RANDOM\.messages\.[\d.]+\.edited"
UPDATED = r"usergroups\.\w+\.date_update"
ENDS = r"dnd\.\w+\.snooze_endtime"
TOPIC = r"channels\.\w+\.(topic|purpose)\.(creator|last_set)"

CASES = [
    Case("chat.postMessage", lambda c, _: c.chat_postMessage(channel=GENERAL, text="Hello <b> & you"), COMPENSATED),
    Case(
        "chat.postMessage",
        lambda c, k: c.chat_postMessage(channel=RANDOM, text="A reply", thread_ts=k["ts"], blocks=blocks("A reply")),
        COMPENSATED,
        prepare=message,
        name="in a thread",
    ),
    Case("chat.meMessage", lambda c, _: c.chat_meMessage(channel=GENERAL, text="waves"), COMPENSATED),
    Case(
        "chat.update",
        lambda c, k: c.chat_update(channel=RANDOM, ts=k["ts"], text="new & better"),
        COMPENSATED,
        (EDITED,),
        message,
    ),
    Case(
        "chat.update",
        lambda c, k: c.chat_update(channel=RANDOM, ts=k["ts"], text="t", blocks=blocks("new")),
        COMPENSATED,
        (EDITED,),
        lambda c: message(c, blocks=blocks("old")),
        name="with blocks",
    ),
    Case(
        "chat.update",
        lambda c, k: c.chat_update(channel=RANDOM, ts=k["ts"], attachments=[{"text": "new", "fallback": "n"}]),
        COMPENSATED,
        (EDITED,),
        lambda c: message(c, attachments=[{"text": "old", "fallback": "o"}]),
        name="with attachments",
    ),
    Case(
        "chat.update",
        lambda c, k: c.chat_update(channel=RANDOM, ts=k["ts"], text="another reply"),
        COMPENSATED,
        (EDITED,),
        thread,
        name="in a thread",
    ),
    Case("chat.delete", lambda c, k: c.chat_delete(channel=RANDOM, ts=k["ts"]), COMPENSATED, (NOTICE,), message),
    Case(
        "chat.delete",
        lambda c, k: c.chat_delete(channel=RANDOM, ts=k["ts"]),
        COMPENSATED,
        (NOTICE,),
        thread,
        name="in a thread",
    ),
    Case(
        "chat.scheduleMessage",
        lambda c, _: c.chat_scheduleMessage(channel=RANDOM, text="x", post_at=later()),
        COMPENSATED,
    ),
    Case(
        "chat.deleteScheduledMessage",
        lambda c, k: c.chat_deleteScheduledMessage(channel=RANDOM, scheduled_message_id=k["id"]),
        COMPENSATED,
        (r"scheduled\.\w+",),
        scheduled,
    ),
    Case(
        "chat.startStream",
        lambda c, k: c.chat_startStream(channel=RANDOM, thread_ts=k["ts"], markdown_text="One"),
        COMPENSATED,
        (),
        message,
    ),
    Case(
        "chat.stopStream",
        lambda c, k: c.chat_stopStream(channel=RANDOM, ts=k["ts"], markdown_text="two."),
        COMPENSATED,
        (EDITED, r"channels\.C0RANDOM\.messages\.[\d.]+\.streaming"),
        streaming,
    ),
    Case(
        "reactions.add",
        lambda c, _: c.reactions_add(channel=GENERAL, timestamp="1750000100.000100", name="+1"),
        RESTORED,
    ),
    Case(
        "reactions.add",
        lambda c, k: c.reactions_add(channel=RANDOM, timestamp=k["ts"], name="+1"),
        RESTORED,
        prepare=reacted,
        name="beside another of one's own",
    ),
    Case(
        "reactions.remove",
        lambda c, k: c.reactions_remove(channel=RANDOM, timestamp=k["ts"], name="eyes"),
        RESTORED,
        prepare=reacted,
    ),
    Case("pins.add", lambda c, k: c.pins_add(channel=RANDOM, timestamp=k["ts"]), COMPENSATED, (NOTICE,), message),
    Case(
        "pins.remove",
        lambda c, k: c.pins_remove(channel=RANDOM, timestamp=k["ts"]),
        COMPENSATED,
        (NOTICE, r"channels\.C0RANDOM\.pins\.0\.created"),
        pinned,
    ),
    Case(
        "bookmarks.add",
        lambda c, _: c.bookmarks_add(channel_id=RANDOM, title="Wiki", type="link", link="https://w.example"),
        RESTORED,
    ),
    Case(
        "bookmarks.edit",
        lambda c, k: c.bookmarks_edit(channel_id=RANDOM, bookmark_id=k["id"], title="New", emoji=":star:"),
        RESTORED,
        (r".*\.date_updated",),
        bookmark,
    ),
    Case(
        "bookmarks.remove",
        lambda c, k: c.bookmarks_remove(channel_id=RANDOM, bookmark_id=k["id"]),
        COMPENSATED,
        (r"channels\.C0RANDOM\.bookmarks\.\w+",),
        bookmark,
    ),
    Case("stars.add", lambda c, k: c.stars_add(channel=RANDOM, timestamp=k["ts"]), RESTORED, (), message),
    Case("stars.remove", lambda c, k: c.stars_remove(channel=RANDOM, timestamp=k["ts"]), RESTORED, (), starred),
    Case(
        "conversations.create", lambda c, _: c.conversations_create(name="new-plans"), COMPENSATED, (r"channels\.C\d+",)
    ),
    Case(
        "conversations.rename",
        lambda c, k: c.conversations_rename(channel=k["id"], name="ideas"),
        COMPENSATED,
        (NOTICE,),
        made_channel,
    ),
    Case(
        "conversations.setTopic",
        lambda c, _: c.conversations_setTopic(channel=GENERAL, topic="Moved"),
        COMPENSATED,
        (NOTICE, TOPIC),
    ),
    Case(
        "conversations.setTopic",
        lambda c, _: c.conversations_setTopic(channel=RANDOM, topic="First"),
        COMPENSATED,
        (NOTICE, TOPIC),
        name="where there was none",
    ),
    Case(
        "conversations.setPurpose",
        lambda c, _: c.conversations_setPurpose(channel=RANDOM, purpose="Talk"),
        COMPENSATED,
        (NOTICE, TOPIC),
    ),
    Case(
        "conversations.invite",
        lambda c, _: c.conversations_invite(channel=RANDOM, users=["U0GRACE", "U0LINUS"]),
        COMPENSATED,
        (NOTICE,),
    ),
    Case("conversations.kick", lambda c, _: c.conversations_kick(channel=RANDOM, user="U0ADA"), COMPENSATED, (NOTICE,)),
    Case("conversations.join", lambda c, _: c.conversations_join(channel=OPEN), COMPENSATED, (NOTICE,)),
    Case(
        "conversations.leave",
        lambda c, _: c.conversations_leave(channel=RANDOM),
        COMPENSATED,
        (NOTICE, r"channels\.C0RANDOM\.members\..*"),
    ),
    Case(
        "conversations.archive",
        lambda c, _: c.conversations_archive(channel=RANDOM),
        COMPENSATED,
        (NOTICE,),
        token=USER,
    ),
    Case(
        "conversations.unarchive",
        lambda c, k: c.conversations_unarchive(channel=k["id"]),
        COMPENSATED,
        (NOTICE,),
        archived,
        token=USER,
    ),
    Case("conversations.open", lambda c, _: c.conversations_open(users=["U0GRACE"]), COMPENSATED, (r"channels\.D\d+",)),
    Case("conversations.close", lambda c, k: c.conversations_close(channel=k["id"]), COMPENSATED, (), opened),
    Case(
        "conversations.mark",
        lambda c, _: c.conversations_mark(channel=GENERAL, ts="1750000200.000200"),
        RESTORED,
        (r"channels\.C0GENERAL\.last_read\.U0BOT",),
    ),
    Case(
        "files.completeUploadExternal",
        lambda c, k: c.files_completeUploadExternal(files=[{"id": k["id"], "title": "A"}], channel_id=RANDOM),
        COMPENSATED,
        (),
        ticket,
    ),
    Case(
        "files.upload", lambda c, _: c.api_call("files.upload", data={"content": "x", "channels": RANDOM}), COMPENSATED
    ),
    Case("files.sharedPublicURL", lambda c, k: c.files_sharedPublicURL(file=k["id"]), COMPENSATED, (), uploaded, USER),
    Case("files.revokePublicURL", lambda c, k: c.files_revokePublicURL(file=k["id"]), COMPENSATED, (), public, USER),
    Case(
        "usergroups.create",
        lambda c, _: c.usergroups_create(name="Duty", handle="duty"),
        COMPENSATED,
        (r"usergroups\.S\d+",),
    ),
    Case(
        "usergroups.update",
        lambda c, k: c.usergroups_update(usergroup=k["id"], description="New", channels=[GENERAL, RANDOM]),
        RESTORED,
        (UPDATED,),
        group,
    ),
    Case(
        "usergroups.users.update",
        lambda c, k: c.usergroups_users_update(usergroup=k["id"], users=["U0GRACE"]),
        RESTORED,
        (UPDATED,),
        group,
    ),
    Case("usergroups.disable", lambda c, k: c.usergroups_disable(usergroup=k["id"]), RESTORED, (UPDATED,), group),
    Case(
        "usergroups.enable",
        lambda c, k: c.usergroups_enable(usergroup=k["id"]),
        RESTORED,
        (UPDATED, r".*\.date_delete"),
        disabled,
    ),
    Case(
        "users.profile.set",
        lambda c, _: c.users_profile_set(
            profile={
                "status_text": "Busy",
                "title": "CTO",
                "fields": {"Xf01": {"value": "Rome"}, "Xf02": {"value": "new"}},
            }
        ),
        RESTORED,
        (),
        status,
        USER,
    ),
    Case(
        "users.profile.set",
        lambda c, _: c.users_profile_set(name="status_emoji", value=":palm_tree:"),
        RESTORED,
        (),
        status,
        USER,
        name="one field",
    ),
    Case(
        "users.profile.set",
        lambda c, _: c.users_profile_set(profile={"status_text": ""}),
        RESTORED,
        (),
        status,
        USER,
        name="an emptied status",
    ),
    Case("users.setPresence", lambda c, _: c.users_setPresence(presence="away"), RESTORED),
    Case("dnd.setSnooze", lambda c, _: c.dnd_setSnooze(num_minutes=30), RESTORED, token=USER),
    Case(
        "dnd.setSnooze",
        lambda c, _: c.dnd_setSnooze(num_minutes=5),
        COMPENSATED,
        (ENDS,),
        snoozing,
        USER,
        name="over another",
    ),
    Case("dnd.endSnooze", lambda c, _: c.dnd_endSnooze(), COMPENSATED, (ENDS,), snoozing, USER),
    Case("reminders.add", lambda c, _: c.reminders_add(text="Tea", time=str(later())), RESTORED, token=USER),
    Case(
        "reminders.delete",
        lambda c, k: c.reminders_delete(reminder=k["id"]),
        COMPENSATED,
        (r"reminders\.Rm\d+",),
        reminder,
        USER,
    ),
]
IRREVERSIBLE = {
    "chat.postEphemeral": (lambda c, _: c.chat_postEphemeral(channel=GENERAL, user="U0ADA", text="psst"), BOT),
    "files.delete": (lambda c, k: c.files_delete(file=k["id"]), BOT),
    "reminders.complete": (lambda c, k: c.reminders_complete(reminder=k["id"]), USER),
}
