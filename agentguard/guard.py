"""The gate's other side: what happens to each request of a wrapped client.

A request is one of three things. One of ours (a snapshot, an undo) was issued through the same SDK and is only sent and
captured. One that changes nothing goes as it is. Everything else becomes a call and is taken through the engine.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentguard.calls import Answer, Call, Certainty, Effect
from agentguard.connector import Connector
from agentguard.drivers import arun, run
from agentguard.engine import drop_held, guard
from agentguard.errors import AgentguardError, AnswerLost, HandlerError
from agentguard.flow import Flow, SendTogether, Sent, together
from agentguard.ledger.rows import CallRow
from agentguard.replay import once, recordable, response_of
from agentguard.scopes import tell, under_way
from agentguard.wire.codec import Decoded
from agentguard.wire.http import SAFE_VERBS, Headers, Outgoing, Request, Response, path_of
from agentguard.wire.seam import AsyncTransmit, Seam, Transmit
from agentguard.work import Work

if TYPE_CHECKING:
    from agentguard.session import Session


log = logging.getLogger("agentguard")


class Capture:
    """Receives the raw answer to a request of ours, whatever the SDK makes of it."""

    request: Request | None = None
    response: Response | None = None
    error: BaseException | None = None

    def repeats(self, request: Request) -> bool:
        """Whether *request* is a write whose end is unknown and that the SDK would send again by itself."""
        last, self.request = self.request, request
        refused = self.response is not None and self.response.status < 500 and self.response.status != 408
        same = last is not None and (last.verb, last.url) == (request.verb, request.url)
        return same and request.verb not in SAFE_VERBS and not refused

    def again(self) -> Response:
        """What came of the request before."""
        if self.response is not None:
            return self.response
        assert self.error is not None
        raise self.error


_capture: ContextVar[Capture | None] = ContextVar("agentguard_capture", default=None)


class _NeverPassed(AgentguardError):
    """A request of ours went another way: whether it reached the service is not known."""


class Guard:
    """One client of one session: the gate under its twin, and the border that our own requests cross."""

    def __init__(self, session: Session, connector: Connector, seam: Seam, client: Any) -> None:
        self.session = session
        self.connector = connector
        self.seam = seam
        self.client = client
        self.sync = seam.sync
        self.asynchronous = seam.asynchronous
        self.twin = seam.twin(client, self)
        self.bases = seam.bases(client)
        self.base = self.bases[0]
        self.mode = seam.mode(client)
        self.account: str | None = None
        self._turn: AbstractContextManager[object] = nullcontext() if seam.concurrent else threading.Lock()
        session.redactor.learn(*seam.secrets(client))

    def never_left(self, error: BaseException) -> bool:
        """Whether *error* proves that nothing reached the service. Errors of our own come before anything is sent."""
        ours = isinstance(error, AgentguardError) and not isinstance(error, _NeverPassed)
        return ours or self.seam.never_left(error)

    # The gate

    def passes(self, verb: str, url: str) -> bool:
        """Whether this request certainly changes nothing and is none of ours."""
        return _capture.get() is None and self.connector.reads(verb, path_of(url))

    def send(self, request: Request, transmit: Transmit) -> Response:
        """Guard a request of a synchronous client."""
        capture = _capture.get()
        if capture is not None:
            return _captured(capture, request, transmit)
        passage = _Passage(self, request)
        if not passage.calls:
            return transmit(request)

        def forward(step: SendTogether) -> list[Sent]:
            outgoing = passage.outgoing(step)
            self.session.check_owner()
            return passage.sent(step, transmit(outgoing))

        with _remembered(), self.session.taking_call():
            return passage.response(run(passage.flow(), transmit=forward, approver=self.session.approver))

    async def asend(self, request: Request, transmit: AsyncTransmit) -> Response:
        """Guard a request of an asynchronous client."""
        capture = _capture.get()
        if capture is not None:
            if capture.repeats(request):
                return capture.again()
            capture.response = capture.error = None
            try:
                capture.response = await transmit(request)
            except BaseException as error:
                capture.error = error
                raise
            return capture.response
        passage = _Passage(self, request)
        if not passage.calls:
            return await transmit(request)

        async def forward(step: SendTogether) -> list[Sent]:
            outgoing = passage.outgoing(step)
            self.session.check_owner()
            return passage.sent(step, await transmit(outgoing))

        with _remembered(), self.session.taking_call():
            return passage.response(await arun(passage.flow(), transmit=forward, approver=self.session.approver))

    def decode(self, request: Request) -> Decoded:
        """Recognise the operation that *request* asks for."""
        return self.connector.codec.decode(self.connector.table, request, self.bases)

    def work(self, decoded: Decoded, request: Request, ahead: int = 0) -> Work:
        """The work that *request* makes for the engine; so many calls of the same request are *ahead* of it."""
        header = self.connector.idempotency_header
        return Work(
            self.session,
            self,
            decoded.operation,
            Call(decoded.operation.name, decoded.arguments),
            method=method_name(self.seam.packages),
            key=request.headers.get(header.lower()) if header else None,
            block=once.get(),
            ahead=ahead,
        )

    # The border

    def replay(self, call: CallRow) -> Response:
        """The recorded response of *call*, of which the seam makes the SDK's own object."""
        return response_of(call, self.session.redactor)

    def hold(self, call: CallRow) -> Response:
        """An answer that says that *call* is held, of which the seam makes the SDK's own object."""
        return self.connector.codec.held(self.connector.table.by_name[call.name], call.arguments, held_name(call))

    def tell(self, note: str) -> None:
        """Put *note* on the exception that the SDK will make of the answer."""
        tell(note)

    def perform(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """Make a call of ours through the twin and return its raw answer."""
        outgoing = self._outgoing(call, headers)
        capture = Capture()
        token = _capture.set(capture)
        try:
            with self._turn:
                self.seam.issue(self.twin, outgoing)
        except Exception as error:  # noqa: BLE001 - the SDK may dislike an answer that we can read
            if capture.response is None:
                raise (capture.error or error) from None
        finally:
            _capture.reset(token)
        return self._answer(call, capture)

    async def aperform(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """The same for an asynchronous client."""
        outgoing = self._outgoing(call, headers)
        capture = Capture()
        token = _capture.set(capture)
        try:
            await self.seam.aissue(self.twin, outgoing)
        except Exception as error:  # noqa: BLE001 - likewise
            if capture.response is None:
                raise (capture.error or error) from None
        finally:
            _capture.reset(token)
        return self._answer(call, capture)

    def _outgoing(self, call: Call, headers: Mapping[str, str]) -> Outgoing:
        try:
            outgoing = self.connector.codec.encode(self.connector.table.by_name[call.operation], call.arguments)
        except Exception as error:
            raise HandlerError(
                f"{call.operation} cannot be written as a request: {type(error).__name__}: {error}"
            ) from error
        return replace(outgoing, headers={**outgoing.headers, **headers})

    def _answer(self, call: Call, capture: Capture) -> Answer:
        if capture.error is not None:
            raise capture.error  # which the SDK kept to itself
        if capture.response is None:
            raise _NeverPassed(f"{call.operation} was issued through {self.seam.sdk} and never passed the gate")
        return self.connector.codec.answer(self.connector.table.by_name[call.operation], capture.response)

    def __deepcopy__(self, memo: dict[int, Any]) -> Guard:
        """A copy of a wrapped client is guarded by the same guard."""
        return self


def held_name(call: CallRow) -> str:
    """What stands for the id of something that was not made yet."""
    return f"held-{call.session}-{call.seq}"


class _Passage:
    """One request on its way through the gate: the calls that it carries, one or, in a batch, several."""

    def __init__(self, gate: Guard, request: Request) -> None:
        self.gate = gate
        self.codec = gate.connector.codec
        self.request = request
        self.parts = self.codec.parts(request, gate.bases)
        decoded = [gate.decode(part) for part in self.parts or [request]]
        self.calls = {n: call for n, call in enumerate(decoded) if call.operation.effect is not Effect.READ}
        self.sending: list[int] = []
        """The numbers of the parts that are sent."""
        self.answer: Response | None = None
        self.answers: dict[int, Response | None] = {}

    def flow(self) -> Flow[list[Response]]:
        """Take each of the calls through its life, with one send for all."""
        requests = self.parts or [self.request]
        works = [self.gate.work(call, requests[n], at) for at, (n, call) in enumerate(self.calls.items())]
        try:
            return (yield from together([guard(work) for work in works]))
        except GeneratorExit:
            raise
        except BaseException:
            yield from drop_held(works)
            raise

    def outgoing(self, step: SendTogether) -> Request:
        """The request to send, with what the handlers changed, and without the calls that are on record."""
        changed: dict[int, Request] = dict(enumerate(self.parts or [self.request]))
        for send, (n, call) in zip(step.sends, self.calls.items(), strict=True):
            if send is None:
                del changed[n]
                continue
            changed[n] = _with(changed[n], send.headers)
            if send.arguments:
                changed[n] = self.codec.rewrite(changed[n], call.operation, dict(send.arguments))
        self.sending = list(changed)
        return changed[0] if self.parts is None else self.codec.join(self.request, list(changed.values()))

    def sent(self, step: SendTogether, response: Response) -> list[Sent]:
        """What came of each call that was sent."""
        self.answer = response
        answers: list[Response | None] = [response]
        if self.parts is not None:
            try:
                answers = self.codec.separate(self.request, response, len(self.sending))
            except Exception:
                log.exception("agentguard: the answer to a batch cannot be taken apart; its calls are in doubt")
                answers = [None] * len(self.sending)
        self.answers = dict(zip(self.sending, answers, strict=True))
        return [
            self._sent(call, self.answers[n])
            for send, (n, call) in zip(step.sends, self.calls.items(), strict=True)
            if send is not None
        ]

    def response(self, results: list[Response]) -> Response:
        """The response to the request as a whole, from what came of each call."""
        if self.parts is None:
            return results[0]
        if self.answer is not None and len(self.sending) == len(self.parts):
            return self.answer
        every = {**self.answers, **{n: r for n, r in zip(self.calls, results, strict=True) if n not in self.answers}}
        missing = [n for n in range(len(self.parts)) if every.get(n) is None]
        if missing:
            raise AnswerLost(
                f"of the {len(self.parts)} parts of this batch, number {missing[0] + 1} has no answer, and others are "
                "on record from before. What is on record was not sent again. Make the missing calls one by one."
            )
        return self.codec.compose(self.request, [r for _n, r in sorted(every.items()) if r is not None])

    def _sent(self, call: Decoded, response: Response | None) -> Sent:
        answer = self._answer(call, response)
        if response is None or self.answer is None:
            return Sent(answer, self.answer)
        try:
            kept = recordable(response, answer.value, self.gate.session.redactor)
        except Exception:
            log.exception("agentguard: the response to %s cannot be kept for a resumed session", call.operation.name)
            kept = None
        return Sent(answer, response if self.parts is not None else self.answer, kept)

    def _answer(self, call: Decoded, response: Response | None) -> Answer:
        if response is None:
            return Answer(0, None, Certainty.UNKNOWN, error="the answer to the batch has no part for this call")
        try:
            return self.codec.answer(call.operation, response)
        except Exception as error:  # the call is out: a fault of ours must not cost the caller the answer
            log.exception("agentguard: the answer to %s cannot be understood; it is in doubt", call.operation.name)
            told = f"the answer cannot be understood: {type(error).__name__}: {error}"
            return Answer(response.status, None, Certainty.UNKNOWN, error=told)


def _captured(capture: Capture, request: Request, transmit: Transmit) -> Response:
    # An SDK may need several requests for one of ours: what came of the last one counts.
    if capture.repeats(request):
        return capture.again()
    capture.response = capture.error = None
    try:
        capture.response = transmit(request)
    except BaseException as error:
        capture.error = error
        raise
    return capture.response


def _with(request: Request, headers: Mapping[str, str]) -> Request:
    """*request* with *headers* put in place of those of the same name."""
    if not headers:
        return request
    return Request(request.verb, request.url, Headers({**request.headers, **Headers(headers)}), request.body)


def method_name(packages: tuple[str, ...]) -> str:
    """Name the SDK's method that is being called.

    The proxy knows it when the wrapped client was called; for an object that a call returned (`issue.edit`) it is the
    outermost function of the SDK on the stack.
    """
    frame = sys._getframe(1)
    name = ""
    current: Any = frame
    while current is not None:
        root = current.f_globals.get("__name__", "").partition(".")[0]
        if root in packages and "<locals>" not in current.f_code.co_qualname:  # a decorator's wrapper says nothing
            name = current.f_code.co_qualname
        current = current.f_back
    called = under_way()
    return called.name if called else name


@contextmanager
def _remembered() -> Iterator[None]:
    """Remember an error of ours for the proxy: SDKs wrap or swallow what their transport raises."""
    try:
        yield
    except AgentguardError as error:
        called = under_way()
        if called is not None:
            called.error = error
        raise
