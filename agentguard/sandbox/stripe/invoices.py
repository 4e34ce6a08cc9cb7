"""Invoices, their items and credit notes, from draft to paid or void."""

from __future__ import annotations

from agentguard.sandbox.server import Incoming, Reply, route
from agentguard.sandbox.stripe.forms import Data, check, refusal
from agentguard.sandbox.stripe.kinds import KINDS
from agentguard.sandbox.stripe.payments import Payments

PAY = {"paid_out_of_band": "bool", "payment_method": "str", "source": "str", "off_session": "bool", "expand": "list"}
FINALIZE = {"auto_advance": "bool", "expand": "list"}


class Invoices(Payments):
    """What customers owe."""

    # Items

    def make_invoiceitem(self, thing: Data, given: Data) -> None:
        self.get("customers", thing["customer"], "customer")
        self._price(thing)
        if thing["invoice"]:
            invoice = self.get("invoices", thing["invoice"], "invoice")
            if invoice["status"] != "draft":
                raise refusal("You can only add items to a draft invoice.")
        self.all("invoiceitems")[thing["id"]] = thing
        self.total(thing["invoice"])

    def _price(self, thing: Data) -> None:
        price = (thing["pricing"] or {}).get("price")
        if price:
            known = self.get("prices", price, "pricing[price]")
            thing["amount"] = known["unit_amount"] * thing["quantity"]
            thing["currency"] = known["currency"]
            details = {"price": price, "product": known["product"]}
            thing["pricing"] = {"type": "price_details", "price_details": details}
        now = thing["date"] = thing.pop("created")
        thing["period"] = thing["period"] or {"start": now, "end": now}
        thing["period"] = {name: int(value) for name, value in thing["period"].items()}

    def change_invoiceitem(self, thing: Data, given: Data) -> None:
        self._unsettled(thing)
        if given.get("period"):
            given["period"] = {name: int(value) for name, value in given["period"].items()}
        if "quantity" in given and thing["pricing"] and "amount" not in given:
            thing["amount"] = thing["amount"] // thing["quantity"] * given["quantity"]
        elif "amount" in given:
            thing["amount"] = given.pop("amount")
        self.total(thing["invoice"])

    def drop_invoiceitem(self, thing: Data) -> None:
        self._unsettled(thing)
        invoice, thing["invoice"] = thing["invoice"], None
        self.total(invoice)

    def _unsettled(self, thing: Data) -> None:
        if thing["invoice"] and self.get("invoices", thing["invoice"])["status"] != "draft":
            raise refusal("You can only change invoice items that are not on a finalized invoice.")

    def total(self, name: str | None) -> None:
        """Add an invoice up."""
        if name:
            invoice = self.get("invoices", name)
            amount = sum(item["amount"] for item in self.all("invoiceitems").values() if item["invoice"] == name)
            invoice.update(total=amount, amount_due=amount, amount_remaining=amount)

    # Invoices

    def make_invoice(self, thing: Data, given: Data) -> None:
        self.get("customers", thing["customer"], "customer")
        thing["default_source"] = None
        self.all("invoices")[thing["id"]] = thing
        if given.get("pending_invoice_items_behavior") == "include":
            for item in self.all("invoiceitems").values():
                if item["customer"] == thing["customer"] and item["invoice"] is None:
                    item["invoice"] = thing["id"]
            self.total(thing["id"])

    def change_invoice(self, thing: Data, given: Data) -> None:
        if thing["status"] != "draft" and set(given) - {"metadata", "description", "auto_advance", "expand"}:
            raise refusal("Finalized invoices can't be updated in this way", "invoice_not_editable")

    def drop_invoice(self, thing: Data) -> None:
        if thing["status"] != "draft":
            raise refusal("You can only delete draft invoices.", "invoice_not_editable")
        for item in self.all("invoiceitems").values():
            if item["invoice"] == thing["id"]:
                item["invoice"] = None

    def finish(self, invoice: Data) -> None:
        """Finalize a draft."""
        customer = self.get("customers", invoice["customer"])
        sequence = customer["next_invoice_sequence"]
        customer["next_invoice_sequence"] += 1
        invoice.update(status="open", number=f"{customer['invoice_prefix']}-{sequence:04d}")
        if invoice["total"] == 0:
            invoice["status"] = "paid"
        self.tell("invoice.finalized", invoice)

    @route("POST", "/v1/invoices/create_preview")
    def preview(self, call: Incoming) -> Reply:
        return Reply(200, {"id": "upcoming_in_1", "object": "invoice", "status": "draft", "total": 0, "metadata": {}})

    @route("POST", "/v1/invoices/{id}/finalize")
    def finalize(self, call: Incoming) -> Reply:
        check(FINALIZE, call.body or {})
        invoice = self.get("invoices", call["id"])
        if invoice["status"] != "draft":
            raise refusal("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
        self.finish(invoice)
        return self.answer(invoice, call)

    @route("POST", "/v1/invoices/{id}/void")
    def void(self, call: Incoming) -> Reply:
        invoice = self.get("invoices", call["id"])
        if invoice["status"] not in ("open", "uncollectible"):
            raise refusal(f"You can only void an open or uncollectible invoice; this one is {invoice['status']}.")
        invoice.update(status="void", amount_remaining=0)
        self.tell("invoice.voided", invoice)
        return self.answer(invoice, call)

    @route("POST", "/v1/invoices/{id}/pay")
    def pay_invoice(self, call: Incoming) -> Reply:
        given = check(PAY, call.body or {})
        invoice = self.get("invoices", call["id"])
        if invoice["status"] == "paid":
            raise refusal("Invoice is already paid", "invoice_already_paid")
        if invoice["status"] == "draft":
            self.finish(invoice)
        if invoice["status"] not in ("open", "paid"):
            raise refusal(f"This invoice is {invoice['status']} and cannot be paid.")
        if given.get("paid_out_of_band"):
            self.settle(invoice, None, out_of_band=True)
            return self.answer(invoice, call)
        method = given.get("payment_method") or self.means(invoice)
        if method is None:
            raise refusal("There is no `default_payment_method` set on this Customer or Invoice.")
        if self.behaviour(self.payment_method(method)) == "declined":
            return self.declined({})
        self.settle(invoice, method)
        return self.answer(invoice, call)

    def means(self, invoice: Data) -> str | None:
        """What an invoice is paid with."""
        customer = self.get("customers", invoice["customer"])
        found: str | None = invoice["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
        return found or ("pm_card_visa" if customer["default_source"] else None)

    def settle(self, invoice: Data, method: str | None, *, out_of_band: bool = False) -> None:
        """Take the money for an invoice, or note that it came another way."""
        if not out_of_band and invoice["total"]:
            about = {"amount": invoice["total"], "currency": invoice["currency"], "customer": invoice["customer"]}
            used = self.payment_method(method or "pm_card_visa")["id"]
            charge = self.make("charges", about, payment_method=used, amount_captured=invoice["total"])
            self.all("invoice_payments")[invoice["id"]] = charge["id"]
        paid = {"amount_paid": invoice["total"], "amount_remaining": 0}
        invoice.update(status="paid", **paid)
        self.tell("invoice.paid", invoice)

    # Credit notes

    def make_credit_note(self, thing: Data, given: Data) -> None:
        invoice = self.get("invoices", thing["invoice"], "invoice")
        parts = {name: given.get(name) or 0 for name in ("refund_amount", "credit_amount", "out_of_band_amount")}
        amount = thing["amount"] or sum(parts.values())
        left = invoice["total"] - invoice["post_payment_credit_notes_amount"]
        if invoice["status"] != "paid":
            raise refusal("This stand-in makes credit notes for paid invoices only.")
        if not 0 < amount <= left:
            raise refusal(f"The credit note amount ({amount}) is more than what can be credited ({left}).")
        if sum(parts.values()) != amount:
            raise refusal("The sum of credit amount, refund amount and out of band amount must equal the amount.")
        if parts["refund_amount"]:
            charge = self.all("invoice_payments").get(invoice["id"])
            if charge is None:
                raise refusal("Stripe did not collect this invoice, so nothing can be refunded.")
            self.refund(self.get("charges", charge), {"amount": parts["refund_amount"]})
        thing.update(amount=amount, customer=invoice["customer"], currency=invoice["currency"])
        invoice["post_payment_credit_notes_amount"] += amount

    @route("POST", "/v1/credit_notes")
    def create_credit_note(self, call: Incoming) -> Reply:
        return self.answer(self.make("credit_notes", check(KINDS["credit_notes"].create, call.body)), call)
