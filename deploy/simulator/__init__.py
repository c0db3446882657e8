"""A payment gateway that is none: it speaks the APIs of Xendit, Midtrans, Stripe and SNAP, and moves no money.

It makes virtual accounts, QRIS codes and pages to pay on, shows each with a button that pays it, and tells of it in
webhooks that are really signed: once, twice, late, in the wrong order, or not at all. For the demo and for tests.
"""

from deploy.simulator.app import simulator_app
from deploy.simulator.settings import Keys, SimulatorSettings
from deploy.simulator.store import Store

__all__ = ["Keys", "SimulatorSettings", "Store", "simulator_app"]
