"""Payments and billing: one way to use each guarded operation, and what taking it back leaves."""

from __future__ import annotations

from tests.stripe.worlds import (
    COMPENSATED,
    Case,
    attached,
    charge,
    customer,
    draft,
    due,
    endpoint,
    held,
    intent,
    item,
    link,
    ready,
    refund,
    session,
    setup,
    subscription,
    two_items,
)

PAID = (r"charges(\..*)?", r"refunds(\..*)?")

CASES = [
    Case(
        "charges.create",
        lambda v1, w: v1.charges.create(params={"amount": 5, "currency": "usd", "source": "tok_visa"}),
        outcome=COMPENSATED,
        residue=PAID,
        later=lambda v1, w: v1.charges.create_async(params={"amount": 5, "currency": "usd", "source": "tok_visa"}),
    ),
    Case(
        "charges.capture",
        lambda v1, w: v1.charges.capture(w.charge, params={"amount": 400}),
        lambda v1: charge(v1, capture=False),
        COMPENSATED,
        PAID,
        lambda v1, w: v1.charges.capture_async(w.charge),
    ),
    Case(
        "charges.update",
        lambda v1, w: v1.charges.update(w.charge, params={"description": "Table", "metadata": {"x": "y"}}),
        charge,
    ),
    Case(
        "refunds.update", lambda v1, w: v1.refunds.update(w.refund, params={"metadata": {"why": "", "x": "y"}}), refund
    ),
    Case(
        "payment_intents.create",
        lambda v1, w: v1.payment_intents.create(params={"amount": 5, "currency": "usd"}),
        intent,
        COMPENSATED,
        (r"payment_intents\.pi_\d+",),
        lambda v1, w: v1.payment_intents.create_async(params={"amount": 5, "currency": "usd"}),
    ),
    Case(
        "payment_intents.update",
        lambda v1, w: v1.payment_intents.update(
            w.intent, params={"amount": 7, "description": "Table", "metadata": {"order": "2", "new": "x"}}
        ),
        intent,
        later=lambda v1, w: v1.payment_intents.update_async(w.intent, params={"amount": 7}),
    ),
    Case(
        "payment_intents.confirm",
        lambda v1, w: v1.payment_intents.confirm(w.intent),
        ready,
        COMPENSATED,
        (*PAID, r"payment_intents\..*"),
        lambda v1, w: v1.payment_intents.confirm_async(w.intent),
    ),
    Case(
        "payment_intents.capture",
        lambda v1, w: v1.payment_intents.capture(w.intent, params={"amount_to_capture": 600}),
        held,
        COMPENSATED,
        (*PAID, r"payment_intents\..*"),
        lambda v1, w: v1.payment_intents.capture_async(w.intent),
    ),
    Case(
        "setup_intents.create",
        lambda v1, w: v1.setup_intents.create(params={"description": "new"}),
        setup,
        COMPENSATED,
        (r"setup_intents\.seti_\d+",),
    ),
    Case(
        "setup_intents.update",
        lambda v1, w: v1.setup_intents.update(w.intent, params={"description": "new", "metadata": {"x": "y"}}),
        setup,
    ),
    Case(
        "invoice_items.create",
        lambda v1, w: v1.invoice_items.create(params={"customer": w.customer, "amount": 5, "currency": "usd"}),
        customer,
        later=lambda v1, w: v1.invoice_items.create_async(
            params={"customer": w.customer, "amount": 5, "currency": "usd"}
        ),
    ),
    Case(
        "invoice_items.update",
        lambda v1, w: v1.invoice_items.update(w.item, params={"amount": 7, "description": "Day"}),
        item,
    ),
    Case(
        "invoice_items.delete",
        lambda v1, w: v1.invoice_items.delete(w.item),
        item,
        COMPENSATED,
        (r"invoiceitems(\..*)?",),
    ),
    Case(
        "invoices.create",
        lambda v1, w: v1.invoices.create(params={"customer": w.customer}),
        customer,
        later=lambda v1, w: v1.invoices.create_async(params={"customer": w.customer}),
    ),
    Case(
        "invoices.update",
        lambda v1, w: v1.invoices.update(
            w.invoice, params={"description": "new", "footer": "f", "metadata": {"x": "y"}}
        ),
        draft,
    ),
    Case(
        "invoices.finalize_invoice",
        lambda v1, w: v1.invoices.finalize_invoice(w.invoice),
        draft,
        COMPENSATED,
        (r"invoices\..*\.(status|number|amount_remaining)", r"customers\..*\.next_invoice_sequence"),
        lambda v1, w: v1.invoices.finalize_invoice_async(w.invoice),
    ),
    Case(
        "invoices.pay",
        lambda v1, w: v1.invoices.pay(w.invoice),
        due,
        COMPENSATED,
        (*PAID, r"invoices\..*", r"credit_notes", r"invoice_payments", r"payment_methods"),
        lambda v1, w: v1.invoices.pay_async(w.invoice),
    ),
    Case(
        "subscriptions.create",
        lambda v1, w: v1.subscriptions.create(params={"customer": w.customer, "items": [{"price": w.other}]}),
        subscription,
        COMPENSATED,
        (
            *PAID,
            r"subscriptions\.sub_\d+",
            r"subscription_items\.si_\d+",
            r"invoices\.in_\d+",
            r"invoiceitems\.ii_\d+",
            r"invoice_payments\.in_\d+",
            r"payment_methods\.pm_\d+",
            r"credit_notes",
            r"customers\..*\.next_invoice_sequence",
        ),
    ),
    Case(
        "subscriptions.update",
        lambda v1, w: v1.subscriptions.update(
            w.subscription,
            params={
                "items": [{"id": w.item, "quantity": 3}, {"price": w.other}],
                "cancel_at_period_end": True,
                "metadata": {"team": "y"},
            },
        ),
        subscription,
        COMPENSATED,
        (r"invoiceitems\.ii_\d+",),
        lambda v1, w: v1.subscriptions.update_async(
            w.subscription, params={"items": [{"id": w.item, "price": w.other}]}
        ),
    ),
    Case(
        "subscription_items.create",
        lambda v1, w: v1.subscription_items.create(params={"subscription": w.subscription, "price": w.other}),
        subscription,
        COMPENSATED,
        (r"invoiceitems\.ii_\d+",),
    ),
    Case(
        "subscription_items.update",
        lambda v1, w: v1.subscription_items.update(w.item, params={"quantity": 4}),
        subscription,
        COMPENSATED,
        (r"invoiceitems\.ii_\d+",),
    ),
    Case(
        "subscription_items.delete",
        lambda v1, w: v1.subscription_items.delete(w.second),
        two_items,
        COMPENSATED,
        (r"invoiceitems\.ii_\d+", r"subscription_items\.si_\d+", r"subscriptions\..*\.items\.data\.1\.\w+"),
    ),
    Case(
        "checkout.sessions.create",
        lambda v1, w: v1.checkout.sessions.create(
            params={"mode": "subscription", "line_items": [{"price": w.price, "quantity": 1}]}
        ),
        session,
        COMPENSATED,
        (r"checkout_sessions\.cs_test_\d+",),
        lambda v1, w: v1.checkout.sessions.create_async(params={"mode": "setup"}),
    ),
    Case(
        "checkout.sessions.update",
        lambda v1, w: v1.checkout.sessions.update(w.session, params={"metadata": {"x": "y"}}),
        session,
    ),
    Case(
        "payment_links.create",
        lambda v1, w: v1.payment_links.create(params={"line_items": [{"price": w.price, "quantity": 1}]}),
        link,
        COMPENSATED,
        (r"payment_links\.plink_\d+",),
    ),
    Case(
        "payment_links.update",
        lambda v1, w: v1.payment_links.update(w.link, params={"active": False, "allow_promotion_codes": True}),
        link,
    ),
    Case(
        "webhook_endpoints.create",
        lambda v1, w: v1.webhook_endpoints.create(params={"url": "https://x.test", "enabled_events": ["*"]}),
        later=lambda v1, w: v1.webhook_endpoints.create_async(
            params={"url": "https://x.test", "enabled_events": ["*"]}
        ),
    ),
    Case(
        "webhook_endpoints.update",
        lambda v1, w: v1.webhook_endpoints.update(w.endpoint, params={"url": "https://x.test", "description": "new"}),
        endpoint,
    ),
    Case(
        "billing.meter_events.create",
        lambda v1, w: v1.billing.meter_events.create(params={"event_name": "calls", "payload": {"value": "5"}}),
        outcome=COMPENSATED,
    ),
]

FOR_GOOD = [
    Case("customers.delete", lambda v1, w: v1.customers.delete(w.customer), customer),
    Case(
        "customers.payment_sources.delete",
        lambda v1, w: v1.customers.payment_sources.delete(w.customer, w.source),
        lambda v1: customer(v1, source="tok_visa"),
    ),
    Case("payment_methods.detach", lambda v1, w: v1.payment_methods.detach(w.method), attached),
    Case("payment_intents.cancel", lambda v1, w: v1.payment_intents.cancel(w.intent), intent),
    Case("refunds.create", lambda v1, w: v1.refunds.create(params={"charge": w.charge}), charge),
    Case(
        "refunds.cancel",
        lambda v1, w: v1.refunds.cancel(w.refund),
        refund,
        seeds=lambda state: {"refunds": {k: {**r, "status": "requires_action"} for k, r in state["refunds"].items()}},
    ),
    Case("setup_intents.cancel", lambda v1, w: v1.setup_intents.cancel(w.intent), setup),
    Case("invoices.delete", lambda v1, w: v1.invoices.delete(w.invoice), draft),
    Case("invoices.void_invoice", lambda v1, w: v1.invoices.void_invoice(w.invoice), due),
    Case("subscriptions.cancel", lambda v1, w: v1.subscriptions.cancel(w.subscription), subscription),
    Case("checkout.sessions.expire", lambda v1, w: v1.checkout.sessions.expire(w.session), session),
    Case("webhook_endpoints.delete", lambda v1, w: v1.webhook_endpoints.delete(w.endpoint), endpoint),
]
