"""The worker: the composition root that puts workflows, activities, ledger and settings together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import httpx2
import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.agencies import AgencyPapers, MailedAgency
from activities.agency import AgencyActivities
from activities.agency_letters import AgencyLetters
from activities.contact_lookup import ContactLookup, website_search
from activities.delivery import Delivery, notice_activities
from activities.email import EmailCarrier
from activities.letters import RelayMailer
from activities.owner import OwnerActivities
from activities.payment_methods import payment_providers
from activities.payment_offers import PaymentOffers
from activities.payment_providers import OfferNotReady
from activities.progress import ProgressActivities
from activities.reconcile import ReconcileActivities
from activities.sms import SmsCarrier
from activities.sms_gateways import SmsGateway, TemplateGateway, TwilioGateway, gateway_client
from activities.smtp import Relay, Tls
from activities.texts import Texts
from activities.webhooks import Poster, WebhookActivities
from activities.websites import WebsiteFetcher
from lunas.intake import intake
from lunas.ledger.database import Ledger
from lunas.ledger.migrations import is_current
from lunas.ledger.news import LedgerNews
from lunas.policies import load_policy, policy_names
from lunas.providers.asking import provider_client
from lunas.settings import Settings
from workflows import messages as m
from workflows.converter import data_converter
from workflows.invoice import InvoiceWorkflow
from workflows.nudging import Courier
from workflows.offers import FollowOffersWorkflow, follow_offers
from workflows.reconcile import ReconcileWorkflow, schedule_reconcile
from workflows.sandbox import workflow_runner
from workflows.visibility import REGISTRY
from workflows.waking import Waker, wake
from workflows.webhooks import WebhookWorkflow

log = structlog.get_logger()

#: Many timers fire in one second of a morning; a sticky task that waits a little longer than the default for its own
#: worker is far cheaper than a replay on another (16 s against 43 s for 2,000 timers).
STICKY_TIMEOUT = timedelta(seconds=60)
_GRACE = timedelta(seconds=20)


class NotReady(RuntimeError):
    """The worker must not start as things are; the message says what to do."""


async def connect(runtime: Runtime | None = None) -> Client:
    """A client for the Temporal that the environment names (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …)."""
    options = ClientConfig.load_client_connect_config()
    options.setdefault("target_host", "localhost:7233")
    return await Client.connect(**options, data_converter=data_converter, runtime=runtime)


async def check_search_attributes(client: Client) -> None:
    """Raise NotReady where an attribute is not registered: every workflow task would fail for ever."""
    found = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    there = {name: IndexedValueType.Name(kind) for name, kind in found.custom_attributes.items()}
    missing = [name for name in REGISTRY if name not in there]
    if missing:
        named = " ".join(f"--name {name} --type {REGISTRY[name]}" for name in missing)
        raise NotReady(
            f"search attributes are not registered in namespace {client.namespace}: {', '.join(missing)}; "
            f"run: temporal operator search-attribute create --namespace {client.namespace} {named}"
        )


async def count_running(client: Client) -> int:
    """How many invoices have a workflow. One that is paused in the UI counts too: it hears what it is told."""
    return (await client.count_workflows(f"WorkflowType = '{m.INVOICE_WORKFLOW}' AND CloseTime IS NULL")).count


def sms_gateway(settings: Settings, http: httpx2.AsyncClient) -> SmsGateway | None:
    """The gateway that the settings name; None for none."""
    secret = settings.sms_secret.get_secret_value() if settings.sms_secret else None
    match settings.sms_gateway:
        case "none":
            return None
        case "twilio":
            return TwilioGateway(http, account=settings.sms_account, secret=secret or "", sender=settings.sms_sender)
        case "template":
            return TemplateGateway(
                http,
                url=settings.sms_url,
                template=settings.sms_template,
                secret=secret,
                accepted_if=settings.sms_accepted_if,
                id_field=settings.sms_id_field,
            )


def relay(settings: Settings) -> Relay:
    """The pool of connections to the mail relay that the settings name."""
    tls = {"none": Tls.NONE, "starttls": Tls.STARTTLS, "tls": Tls.IMPLICIT}[settings.smtp_security]
    return Relay(
        settings.smtp_host,
        settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        tls=tls,
        connections=settings.smtp_connections,
        max_idle=settings.smtp_max_idle,
    )


@asynccontextmanager
async def activities(settings: Settings, client: Client, ledger: Ledger) -> AsyncIterator[Sequence[Callable[..., Any]]]:
    """Every activity, with what it needs; closed together."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(gateway_client())
        mail = relay(settings)
        stack.push_async_callback(mail.close)
        texts = Texts(settings.company, settings.template_folder)
        letters = RelayMailer(mail, settings.company)
        search = None
        if settings.research_enabled:
            fetcher = await stack.enter_async_context(WebsiteFetcher(settings.research_user_agent))
            search = website_search(fetcher)
        papers = AgencyPapers(
            name=settings.agency_name,
            email=settings.agency_email,
            licence=settings.agency_licence,
            certificate=settings.agency_certificate,
            contract=settings.agency_contract,
        )
        agency = MailedAgency(papers, settings.company, letters, settings.template_folder)
        placing = AgencyActivities(ledger, agency, settings.company)
        delivery = Delivery(ledger, settings.mail_address.partition("@")[2])
        telling = Courier(LedgerNews(ledger))
        deliveries = intake(settings, ledger)
        stack.push_async_callback(deliveries.close)
        poster = await stack.enter_async_context(Poster(private=settings.webhook_private_addresses))
        posting = WebhookActivities(ledger, poster)
        owner = OwnerActivities(ledger, letters, settings.owner_email)
        waker = Waker(partial(wake, client))
        stack.push_async_callback(waker.close)
        ledger.on_announced = waker

        asking = await stack.enter_async_context(provider_client())
        providers = payment_providers(settings, asking)
        offering = PaymentOffers(ledger, providers, settings.links, settings.offers_valid_days)

        async def nudge(number: str) -> str:
            return await telling.deliver(client, number)

        yield [
            *notice_activities(delivery, EmailCarrier(texts, mail, settings.company, settings.links)),
            *notice_activities(delivery, SmsCarrier(texts, sms_gateway(settings, http), settings.links)),
            ProgressActivities(ledger).record,
            owner.tell,
            owner.tell_of_webhook,
            ContactLookup(ledger, search).look_up,
            offering.prepare,
            offering.follow,
            placing.place,
            placing.recall,
            posting.due,
            posting.deliver,
            ReconcileActivities(
                ledger,
                nudge,
                partial(count_running, client),
                wake=partial(wake, client),
                catch_up=deliveries.catch_up,
                follow=partial(follow_offers, client),
            ).reconcile,
        ]


async def check(settings: Settings, client: Client, ledger: Ledger) -> None:
    """Find out now what would otherwise fail on day 58; raises NotReady, PolicyError, TemplateError or LinkError."""
    await check_search_attributes(client)
    if not await is_current(ledger):
        raise NotReady("the ledger's tables are missing or old: run `lunas migrate`")
    for name in policy_names(settings.policy_folder):
        load_policy(name, settings.policy_folder)
    Texts(settings.company, settings.template_folder).check()
    AgencyLetters(settings.company, settings.template_folder).check()
    _ = settings.links
    async with provider_client() as http:
        try:
            payment_providers(settings, http)
        except OfferNotReady as error:
            raise NotReady(str(error)) from error


def runtime(settings: Settings) -> Runtime:
    """The SDK's runtime, with its metrics served where the settings say."""
    metrics = PrometheusConfig(bind_address=settings.metrics_address) if settings.metrics_address else None
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))


def make_worker(settings: Settings, client: Client, performed: Sequence[Callable[..., Any]], **options: Any) -> Worker:
    """The worker with the defaults that measurements chose; `options` win over them."""
    chosen: dict[str, Any] = {
        "workflow_runner": workflow_runner(),
        "sticky_queue_schedule_to_start_timeout": STICKY_TIMEOUT,
        "graceful_shutdown_timeout": _GRACE,
    }
    if settings.versioned_worker:
        chosen["deployment_config"] = WorkerDeploymentConfig(
            version=WorkerDeploymentVersion("lunas", settings.build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        )
    else:
        # Without a name of its own the SDK makes one by reading every imported module: seconds of each start.
        chosen["build_id"] = settings.build_id
    return Worker(
        client,
        task_queue=m.TASK_QUEUE,
        workflows=[InvoiceWorkflow, ReconcileWorkflow, WebhookWorkflow, FollowOffersWorkflow],
        activities=performed,
        **(chosen | options),
    )


async def run(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM; raises what `check` raises."""
    client = await connect(runtime(settings))
    ledger = Ledger(settings.database_url)
    stop = asyncio.Event()
    for wish in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wish, stop.set)
    try:
        await check(settings, client, ledger)
        await schedule_reconcile(client, settings.reconcile_every)
        async with activities(settings, client, ledger) as performed, make_worker(settings, client, performed):
            log.info("worker_started", namespace=client.namespace, queue=m.TASK_QUEUE)
            await stop.wait()
            log.info("worker_stopping")
    finally:
        await ledger.close()
