"""Invoices and their items. See https://docs.stripe.com/invoicing/overview for the states that an invoice goes through.

A draft can be deleted, an open invoice can be voided, and a paid one can only be corrected by a credit note. What was
finalized keeps its number, and the customer may have got it by e-mail.
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, Read, Risk, forward, no_undo, read, undo
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.fields import restoring, shown, updating

VOID = "it stays listed as void with its number, and the customer may have been sent it"
CREDITED = "the invoice stays paid, a credit note and a refund stay beside it, and Stripe keeps its fee"


def stage(invoice: Json) -> str:
    """How far an invoice has come: draft, open, paid, over."""
    status = str(invoice["status"])
    credited = invoice.get("post_payment_credit_notes_amount") or 0
    if status == "void" or (status == "paid" and credited and credited >= (invoice.get("total") or 0)):
        return "over"
    return status


@stripe.view
def invoice(thing: Json) -> Json:
    """Show an invoice and how far it has come."""
    return {**shown(thing), "stage": stage(thing)}


@stripe.view
def invoices_in_force(page: Json) -> Json:
    """Show the invoices on a page that are neither void nor credited in full, and whether the page is all there is."""
    in_force = [item for item in page["data"] if stage(item) != "over"]
    stages = {item["id"]: stage(item) for item in in_force}
    return {"complete": not page["has_more"], **stages, **{f"{item['id']} total": item["total"] for item in in_force}}


def _listed(operation: str, made: Json, view: str, **more: Json) -> Read:
    """Look for *made* in a list, of what the customer got in the minutes around it.

    Not by its id: when the session finalized the invoice and voided it since, nothing is in force any more and there
    is nothing left to delete, which the object alone would not show as being back.
    """
    at = made.get("created") or made["date"]  # the name that an invoice item has for it
    around = {"gte": at - 60, "lte": at + 60}
    return read(operation, customer=made["customer"], created=around, limit=100, **more).through(view)


@stripe.guards("invoices.create", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def create_invoice(call: Call) -> Handler:
    """Draft an invoice; the draft is deleted."""
    made = yield forward()
    look = _listed("invoices.list", made, "invoices_in_force")
    back = {"complete": True, made["id"]: ABSENT}
    taken = (made.get("lines") or {}).get("data") or call.arguments.get("pending_invoice_items_behavior") == "include"
    way_back = undo("invoices.delete", invoice=made["id"])
    # Another total: somebody has put items on it since, which would go with it.
    left = {"complete": True, made["id"]: "draft", f"{made['id']} total": made["total"]}
    step = way_back.on(look, left=left, back=back)
    yield step.leaving("whether the items that the draft took in are pending again has to be checked" if taken else "")


UPDATABLE = (
    "auto_advance",
    "custom_fields",
    "default_payment_method",
    "default_source",
    "description",
    "due_date",
    "effective_at",
    "footer",
    "on_behalf_of",
    "statement_descriptor",
)


@stripe.guards("invoices.update", effect=Effect.REVERSIBLE)
def update(call: Call) -> Handler:
    """Change a draft invoice; the old values come back."""
    # That Stripe has finalized it in the meantime would be the doing of the call, and is not taken back by the field.
    same = ("status",) if "auto_advance" in call.arguments else ()
    yield from updating(call, fields=UPDATABLE, fixed=("collection_method",), same=same)


stripe.irreversible(
    "invoices.delete",
    "A deleted draft does not come back; a new one has a new id, and its items have to be added again.",
)


def _look(number: str) -> Read:
    return read("invoices.retrieve", invoice=number).through("invoice")


@stripe.guards("invoices.finalize_invoice", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=VOID)
def finalize(invoice: str) -> Handler:
    """Make a draft into an invoice that is due; it is voided."""
    way_back = undo("invoices.void_invoice", invoice=invoice)
    yield way_back.on(_look(invoice), left={"stage": "open"}, back={"stage": "over"}).leaving(VOID)
    yield forward()


stripe.irreversible("invoices.void_invoice", "A void invoice stays void; the claim has to be invoiced anew.")


@stripe.guards("invoices.pay", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=CREDITED)
def pay(call: Call, invoice: str) -> Handler:
    """Collect an invoice; a credit note refunds what was paid."""
    before = yield read("invoices.retrieve", invoice=invoice)
    paid = yield forward()
    if before.get("amount_paid"):
        yield no_undo("a part was paid before this call, and a credit note over the invoice would refund that as well")
    elif paid["status"] == "paid" and paid["total"]:
        yield crediting(paid, by_stripe=call.arguments.get("paid_out_of_band") not in (True, "true"))
    else:
        yield no_undo(f"nothing was collected that could be credited; the invoice is {paid['status']}")


def crediting(paid: Json, *, by_stripe: bool = True) -> Json:
    """Make the undo for a paid invoice: a credit note over all of it, with a refund of what Stripe collected.

    What Stripe did not collect (`paid_out_of_band`, of which invoices no longer tell) it cannot send back, and the
    note says so. What the customer's balance paid is credited to it again
    (https://docs.stripe.com/api/credit_notes/create).
    """
    way = "refund_amount" if by_stripe else "out_of_band_amount"
    ways = {way: paid["amount_paid"], "credit_amount": paid["total"] - paid["amount_paid"]}
    amounts = {name: amount for name, amount in ways.items() if amount}
    way_back = undo("credit_notes.create", invoice=paid["id"], amount=paid["total"], **amounts)
    return way_back.on(_look(paid["id"]), left={"stage": "paid"}, back={"stage": "over"}).leaving(CREDITED)


@stripe.view
def items_in_force(page: Json) -> Json:
    """Show the items on a page, but not those of an invoice that is void or credited in full."""
    in_force = {
        item["id"]: {"amount": item["amount"], "description": item["description"]}
        for item in page["data"]
        if not isinstance(item.get("invoice"), dict) or stage(item["invoice"]) != "over"
    }
    return {"complete": not page["has_more"], **in_force}


@stripe.guards("invoice_items.create", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def create_item() -> Handler:
    """Add an item to a customer's next invoice; it is deleted again."""
    made = yield forward()
    look = _listed("invoice_items.list", made, "items_in_force", expand=["data.invoice"])
    left = {"complete": True, made["id"]: {"amount": made["amount"], "description": made["description"]}}
    back = {"complete": True, made["id"]: ABSENT}
    yield undo("invoice_items.delete", invoiceitem=made["id"]).on(look, left=left, back=back)


restoring(
    "invoice_items.update",
    "Change an item of a customer's next invoice; the old values come back.",
    fields=("description", "discountable", "tax_code"),
    fixed=("amount", "period", "quantity"),
    risk=Risk.MEDIUM,
)


@stripe.guards(
    "invoice_items.delete",
    effect=Effect.COMPENSABLE,
    risk=Risk.MEDIUM,
    remains="the item has a new id",
)
def delete_item(invoiceitem: str) -> Handler:
    """Take an item off a customer's next invoice; the same one is added again, under a new id."""
    old = yield read("invoice_items.retrieve", invoiceitem=invoiceitem)
    names = ("description", "discountable", "invoice", "metadata", "period", "subscription")
    again = {name: old[name] for name in names if old.get(name) not in (None, "", {}, [])}
    # Where the API shows it since 2025: https://docs.stripe.com/changelog/basil
    parent = (old.get("parent") or {}).get("subscription_details") or {}
    again |= {"subscription": parent["subscription"]} if parent.get("subscription") else {}
    price = ((old.get("pricing") or {}).get("price_details") or {}).get("price")
    if price:
        again |= {"pricing": {"price": price}, "quantity": old["quantity"]}
    else:
        again |= {"amount": old["amount"], "currency": old["currency"]}
    yield undo("invoice_items.create", customer=old["customer"], **again).leaving("the item has a new id")
    yield forward()
