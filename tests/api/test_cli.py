"""The command line: what it says when all is well, and above all when it is not."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from api.cli import app
from api.commands import stack_files
from deploy.embedded.stack import free_port
from tests.api.conftest import Said
from tests.api.doubles import FakeTemporal

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "deploy" / "demo" / "invoices.csv"

pytestmark = pytest.mark.usefixtures("own_environment")


def commands() -> dict[str, Callable[..., object]]:
    found = {command.name or "": command.callback for command in app.registered_commands}
    for group in app.registered_groups:
        assert isinstance(group.typer_instance, typer.Typer)
        for command in group.typer_instance.registered_commands:
            found[f"{group.name} {command.name}"] = command.callback
    return {name: callback for name, callback in found.items() if callback is not None}


class TestHelp:
    def test_the_commands_are_these(self) -> None:
        named = {
            "up", "api", "worker", "migrate", "import", "issue", "pay", "promise", "instalments", "dispute", "pause",
            "resume", "approve", "status", "journal", "why", "lifecycle", "rehearse", "fast-forward",
            "keys create", "doctor", "webhooks list", "webhooks add", "webhooks remove", "webhooks rotate",
            "webhooks deliveries", "webhooks replay",
        }  # fmt: skip
        assert named <= set(commands())

    @pytest.mark.parametrize("name", sorted(commands()))
    def test_every_command_has_help_with_an_example_that_it_would_take(self, name: str, said: Said) -> None:
        help_text = inspect.getdoc(commands()[name]) or ""
        example = re.search(r"Example: `(?:\w+=\S+ )*lunas (.*?)`", help_text)
        assert example, f"the help of `lunas {name}` ends with `Example: …`"
        assert example[1].split(">")[0].startswith(name)
        code, out, _ = said(*name.split(), "--help")
        assert code == 0
        assert "Usage: lunas" in out
        for option in re.findall(r"--[a-z-]+", example[1]):
            assert option in out, f"{option} of the example is no option of `lunas {name}`"

    def test_no_command_shows_the_help(self, said: Said) -> None:
        code, out, _ = said("--help")
        assert code == 0
        assert "Invoices" in out and "Processes" in out

    @pytest.mark.parametrize(
        ("arguments", "hint"),
        [
            (["nonsense"], "No such command"), (["pay"], "Missing argument"), (["status", "--limit", "0"], "--limit"),
            (["rehearse", "--issued", "soon"], "write it as 2026-11-30"),
            (["import", "/nowhere.csv"], "does not exist"),
        ],
    )  # fmt: skip
    def test_wrong_usage_is_exit_code_2(self, arguments: list[str], hint: str, said: Said) -> None:
        code, _, err = said(*arguments)
        assert code == 2
        assert hint in " ".join(err.split())


class TestErrors:
    def sentence(self, err: str) -> str:
        """The one sentence; a traceback would be more."""
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1 and lines[0].startswith("lunas: "), err
        return lines[0]

    def test_without_a_key(self, said: Said) -> None:
        code, _, err = said("status")
        assert code == 1
        assert "run `lunas up`" in self.sentence(err)

    def test_without_an_api(self, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.client._WAITS", ())
        os.environ |= {"LUNAS_API_KEY": "lunas_a_b", "LUNAS_API_URL": f"http://127.0.0.1:{free_port()}"}
        code, _, err = said("pay", "FJ-1")
        assert code == 1
        assert "does not answer" in self.sentence(err)

    def test_with_a_wrong_key(self, api: FakeTemporal, said: Said) -> None:
        os.environ["LUNAS_API_KEY"] = "lunas_000000000000_wrong"
        code, _, err = said("status")
        assert code == 1
        assert "not valid" in self.sentence(err)

    @pytest.mark.parametrize(
        ("arguments", "hint"),
        [
            (["rehearse", "--policy", "nonsense"], "there are gentle, standard"),
            (["rehearse", "--terms", "whenever"], "write `net 30`"),
            (["rehearse", "--amount", "1,5"], "write a"),
            (["rehearse", "--zone", "WIB"], "IANA"),
            (["keys", "create", "x", "--scope", "everything"], "there are read"),
        ],
    )
    def test_what_cannot_be_is_one_sentence(self, arguments: list[str], hint: str, said: Said) -> None:
        code, _, err = said(*arguments)
        assert code == 1
        assert hint in self.sentence(err)

    def test_a_port_that_was_asked_for_and_is_taken(self, said: Said) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            code, _, err = said("up", "--api-port", port)
        assert code == 1
        assert f"port {port} is taken" in self.sentence(err)

    def test_a_fault_of_ours_shows_where_it_is(self, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken() -> str:
            raise ZeroDivisionError

        monkeypatch.setattr("lunas.receivables.describe.table", broken)
        code, _, err = said("lifecycle")
        assert code == 70
        assert "ZeroDivisionError" in err and "fault in Lunas" in err

    def test_the_worker_says_what_is_missing_and_ends(self) -> None:
        environment = {**os.environ, "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
        ended = subprocess.run(
            [sys.executable, "-m", "api.cli", "worker"], cwd=REPOSITORY, env=environment, capture_output=True,
            text=True, timeout=240, check=False,
        )  # fmt: skip
        assert ended.returncode == 1, ended.stderr
        assert "Temporal cannot be reached" in ended.stderr.splitlines()[-1]


class TestPlans:
    def test_a_rehearsal_keeps_the_days_of_the_default_policy(self, said: Said) -> None:
        code, out, _ = said("rehearse", "--issued", "2026-05-04", "--days", "60", "--zone", "Asia/Makassar")
        assert code == 0
        assert "due Wed 3 Jun 2026, Asia/Makassar" in out
        lines = [line for line in out.splitlines() if "follow-up" in line and "email" in line]
        assert [line.split("  ")[1] for line in lines] == [
            "1 day late", "3 days late", "7 days late", "14 days late", "28 days late", "58 days late",
        ]  # fmt: skip

    def test_other_terms_move_the_due_date(self, said: Said) -> None:
        _, out, _ = said("rehearse", "--issued", "2026-06-01", "--terms", "net 14", "--days", "1")
        assert "due Mon 15 Jun 2026" in out

    def test_the_lifecycle_as_tables_and_as_a_diagram(self, said: Said) -> None:
        _, out, _ = said("lifecycle")
        assert "| when the invoice is | and | only when | it becomes | and we |" in out
        _, out, _ = said("lifecycle", "--diagram")
        assert out.startswith("stateDiagram-v2")


class TestInstallation:
    def test_a_ledger_is_migrated_and_keys_are_made_listed_and_revoked(self, tmp_path: Path, said: Said) -> None:
        os.environ["LUNAS_DATABASE_URL"] = f"sqlite:///{tmp_path / 'new.db'}"
        assert said("migrate")[0] == 0
        assert said("migrate")[0] == 0
        code, out, _ = said("keys", "create", "shop", "--scope", "read", "--expires", "2099-12-31")
        key = out.splitlines()[0]
        assert code == 0 and re.fullmatch(r"lunas_[0-9a-f]{12}_\S{43}", key)
        _, out, _ = said("keys", "list")
        assert "shop" in out and key not in out
        prefix = key.split("_")[1]
        assert said("keys", "revoke", prefix)[0] == 0
        assert prefix not in said("keys", "list")[1]
        code, _, err = said("keys", "revoke", "000000000000")
        assert code == 1 and "there is no key" in err

    def test_the_doctor_names_what_is_wrong_and_what_to_do(self, tmp_path: Path, said: Said) -> None:
        told = {
            "LUNAS_DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}",
            "LUNAS_SMTP_PORT": str(free_port()),
            "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        }
        os.environ.update(told)
        code, out, err = said("doctor")
        assert code == 1
        findings = {line.split(": ")[0].split(maxsplit=1)[1]: line for line in out.splitlines()}
        assert "run `lunas migrate`" in findings["ledger"]
        assert "TEMPORAL_ADDRESS" in findings["Temporal"]
        assert "LUNAS_SMTP_HOST" in findings["mail relay"]
        assert "LUNAS_LINK_SECRET" in findings["customers' links"]
        assert findings["policies"].startswith("well") and findings["templates"].startswith("well")
        assert "found something wrong" in err

    def test_a_setting_that_cannot_be_is_named(self, said: Said) -> None:
        os.environ["LUNAS_SMTP_PORT"] = "none"
        code, _, err = said("migrate")
        assert code == 1
        assert "LUNAS_SMTP_PORT" in err.upper()

    def test_what_up_leaves_is_private_and_found_again(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        secret = stack_files.link_secret(data)
        assert len(secret) >= 32 and stack_files.link_secret(data) == secret
        stack_files.keep_environment(data, {"LUNAS_API_URL": "http://x", "LUNAS_API_KEY": "k"})
        assert all(path.stat().st_mode & 0o077 == 0 for path in data.iterdir())
        os.environ["LUNAS_API_URL"] = "http://mine"
        stack_files.adopt_environment(data)
        assert os.environ["LUNAS_API_URL"] == "http://mine", "what is set already wins"
        assert os.environ["LUNAS_API_KEY"] == "k"


class TestInvoices:
    def test_the_life_of_an_invoice(self, api: FakeTemporal, said: Said) -> None:
        issue = (
            "issue",
            "INV/1",
            "--customer",
            "ACME",
            "--amount",
            "12500000",
            "--description",
            "Beras",
            "--terms",
            "net 30",
        )
        code, out, err = said(*issue, "--issued", "2026-11-01", "--name", "PT Acme", "--email", "ap@acme.example")
        assert code == 0, err
        assert "IDR 12,500,000, due 1 Dec 2026" in out
        assert said(*issue, "--issued", "2026-11-01")[0] == 0, "the same again is harmless"
        code, _, err = said(*issue, "--issued", "2026-11-02")
        assert code == 1 and "says something else" in err

        _, out, _ = said("pay", "INV/1", "--amount", "2500000", "--reference", "FT1", "--provider", "bca")
        assert "IDR 10,000,000 is open" in out
        said("pay", "INV/1", "--amount", "2500000", "--reference", "FT1", "--provider", "bca")
        assert "IDR 10,000,000" in said("status", "INV/1")[1], "one reference is one payment"

        code, out, err = said(
            "dispute", "INV/1", "--reason", "two boxes were missing", "--amount", "1200000", "--by", "siti"
        )
        assert code == 0, err
        assert "on hold (dispute)" in out
        assert api.of("INV/1").asked[-1][2].amount_minor == 120_000_000
        code, _, err = said("promise", "INV/1", "--pay-by", "2026-12-24")
        assert code == 1 and "dispute" in err
        assert said("resolve", "INV/1", "--outcome", "rejected")[0] == 0

        _, out, _ = said("journal", "INV/1")
        assert "dispute raised" in out and "siti" in out
        assert "Nothing was to be sent" in said("why", "INV/1")[1]
        _, out, _ = said("pay", "INV/1")
        assert "nothing is open" in out
        code, _, err = said("pay", "INV/1")
        assert code == 1 and "has IDR 0 open" in err

    def test_one_transfer_for_several_and_too_much_of_it(self, api: FakeTemporal, said: Said) -> None:
        for number, total in (("INV/1", "100"), ("INV/2", "50")):
            bill = ("issue", number, "--customer", "ACME", "--amount", total, "--description", "Beras")
            assert said(*bill, "--issued", "2026-11-01", "--name", "PT Acme")[0] == 0

        code, out, err = said("pay", "INV/1=60", "INV/2=50", "--amount", "120", "--reference", "FT1")
        assert code == 0, err
        assert "IDR 60 for invoice INV/1" in out and "IDR 50 for invoice INV/2" in out and "IDR 10 is kept" in out
        code, _, err = said("pay", "INV/1=60", "INV/2", "--amount", "120")
        assert code == 1 and "NUMBER=AMOUNT for all, or for none" in err
        code, out, err = said("refund", "FT1", "--reference", "OUT1", "--reason", "too much")
        assert code == 0, err
        assert "booked: IDR 10 paid back; IDR 0 of it is unapplied" in out
        assert "booked before" in said("refund", "FT1", "--reference", "OUT1", "--reason", "too much")[1]
        assert said("refund", "FT1", "--reference", "OUT2", "--reason", "again")[0] == 1
        _, out, _ = said("pay", "INV/1", "INV/2", "--reference", "FT2")
        assert "IDR 40 for invoice INV/1, on which nothing is open" in out
        _, out, _ = said("pay", "--customer", "ACME", "--amount", "30", "--reference", "FT3")
        assert "IDR 30 is kept unapplied" in out

    def test_late_interest_by_hand(self, api: FakeTemporal, said: Said) -> None:
        bill = ("issue", "INV/1", "--customer", "ACME", "--amount", "100", "--description", "Beras")
        assert said(*bill, "--issued", "2026-01-01", "--name", "PT Acme")[0] == 0

        assert "says nothing of late payment" in said("interest", "INV/1")[1]
        assert "No policy counts interest" in said("interest", "--on", "2026-03-01")[1]
        code, _, err = said("charge", "INV/1", "--kind", "fee", "--reason", "agreed")
        assert code == 1 and "or state an amount" in err
        code, out, err = said("charge", "INV/1", "--kind", "fee", "--reason", "agreed", "--amount", "40")
        assert code == 0, err
        assert "late fee, IDR 40, is claimed: IDR 140 is open on INV/1" in out
        code, _, err = said("waive", "INV/1", "--kind", "fee", "--reason", "sorry")
        assert code == 1 and "credit note" in err
        code, out, err = said("waive", "INV/1", "--reason", "sorry", "--amount", "5", "--on", "2026-03-01")
        assert code == 0, err
        assert "interest to 2026-03-01, IDR 5, is waived: IDR 140 is open" in out

    def test_lists_and_what_is_not_there(self, api: FakeTemporal, said: Said) -> None:
        assert "No invoice is like that." in said("status")[1]
        code, _, err = said("status", "NOPE")
        assert code == 1 and "there is no invoice" in err
        code, _, err = said("status", "--stage", "nonsense")
        assert code == 1 and "stage" in err

    def test_temporal_may_be_down(self, api: FakeTemporal, said: Said) -> None:
        api.down = True
        said(
            "issue",
            "A",
            "--customer",
            "C",
            "--name",
            "C",
            "--amount",
            "1",
            "--description",
            "x",
            "--issued",
            "2026-11-01",
        )
        code, out, _ = said("pay", "A")
        assert code == 0 and "nothing is open" in out, "money is booked all the same"
        code, _, err = said("pause", "A", "--reason", "x")
        assert code == 1 and err.startswith("lunas: ")


class TestImport:
    def test_the_demo_is_imported_and_again_changes_nothing(
        self, api: FakeTemporal, said: Said, tmp_path: Path
    ) -> None:
        file = tmp_path / "faktur.csv"
        shutil.copy(DEMO, file)
        code, out, err = said("import", str(file))
        assert code == 0, err
        assert re.search(r"36\s+issued", out)
        assert len(api.started) == 36
        _, out, _ = said("import", str(file))
        assert re.search(r"0\s+issued", out) and re.search(r"36\s+there already, unchanged", out)
        assert len(api.started) == 36
        _, out, _ = said("status", "FJ-1025")
        assert "Harbour & Vine" in out and "IDR 88,400,000" in out
        assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["faktur.csv"]

    def test_part_paid_invoices_begin_with_what_is_open(self, api: FakeTemporal, said: Said, tmp_path: Path) -> None:
        file = tmp_path / "a.csv"
        file.write_text(
            "No. Faktur;Nama Pelanggan;Tanggal Faktur;Jatuh Tempo;Jumlah;Sisa\n"
            "FJ-1;PT Maju;25/10/2026;24/11/2026;1.500.000;400.000\n"
        )
        for _ in range(2):
            assert said("import", str(file))[0] == 0
        _, out, _ = said("status", "FJ-1")
        said_plainly = " ".join(out.split())
        assert "Billed IDR 1,500,000" in said_plainly and "Open IDR 400,000" in said_plainly
        assert api.of("FJ-1").view.outstanding_minor == 40_000_000

    def test_rows_that_cannot_be_taken_are_exit_code_3(self, api: FakeTemporal, said: Said, tmp_path: Path) -> None:
        file = tmp_path / "a.csv"
        file.write_text(
            "No. Faktur;Nama Pelanggan;Tanggal Faktur;Jatuh Tempo;Jumlah;Kebijakan\n"
            "FJ-1;PT Maju;25/10/2026;24/11/2026;1.500.000;\n"
            "FJ-2;PT Maju;25/10/2026;31/11/2026;1.500.000;\n"
            "FJ-3;PT Maju;25/10/2026;24/11/2026;1.500.000;nonsense\n"
        )
        code, out, err = said("import", str(file))
        assert code == 3
        assert "2 rows were not taken" in err and "a.rejected.csv" in err
        assert "line 3, Jatuh Tempo: 99/99/9999" in out
        assert list(api.running) == ["invoice/FJ-1"]
        report = (tmp_path / "a.rejected.csv").read_text("utf-8-sig")
        assert "FJ-2" in report and "FJ-3" in report and "FJ-1" not in report

    def test_latin_1_and_doubt_stop_it_with_what_to_say(self, said: Said, tmp_path: Path) -> None:
        file = tmp_path / "a.csv"
        header = "No. Faktur;Nama Pelanggan;Tanggal Faktur;Jatuh Tempo;Jumlah\n"
        file.write_bytes((header + "FJ-1;Café;25/10/2026;24/11/2026;1.500.000\n").encode("latin-1"))
        code, _, err = said("import", str(file))
        assert code == 1 and "--encoding cp1252" in err
        file.write_text(header + "FJ-1;PT Maju;05/10/2026;04/11/2026;1.500\n")
        code, _, err = said("import", str(file))
        assert code == 1 and "--dates" in err
        code, _, err = said("import", str(file), "--dates", "dd/mm/yyyy")
        assert code == 1 and "--decimal" in err
        code, out, _ = said("import", str(file), "--dates", "dd/mm/yyyy", "--decimal", "comma", "--dry-run")
        assert code == 0 and "could be issued" in out


class TestStack:
    def test_a_given_environment_is_used_instead(self, tmp_path: Path) -> None:
        from api.commands.stack import Plan, Ports

        ports = Ports(api=1, ui=2, temporal=3, inbox=4, smtp=5)
        alone = Plan(tmp_path, ports, {}).environment()
        assert alone["TEMPORAL_ADDRESS"] == "127.0.0.1:3"
        assert (alone["LUNAS_SMTP_PORT"], alone["LUNAS_SMS_URL"]) == ("5", "http://127.0.0.1:4/sms")
        assert alone["LUNAS_DATABASE_URL"].endswith(f"{tmp_path}/lunas.db")
        given = {
            "TEMPORAL_ADDRESS": "temporal:7233", "LUNAS_DATABASE_URL": "postgresql://db/x", "LUNAS_SMTP_HOST": "mail",
        }  # fmt: skip
        plan = Plan(tmp_path, ports, given)
        told = plan.environment()
        assert not plan.brings_temporal and not plan.brings_inbox
        assert "TEMPORAL_ADDRESS" not in told or told["TEMPORAL_ADDRESS"] == "temporal:7233"
        assert told["LUNAS_DATABASE_URL"] == "postgresql://db/x"
        assert "LUNAS_SMTP_PORT" not in told and "LUNAS_AGENCY_NAME" not in told and "LUNAS_SMS_GATEWAY" not in told

    def test_the_demo_brings_a_gateway_that_moves_no_money(self, tmp_path: Path) -> None:
        from api.commands.stack import Plan, Ports
        from lunas.settings import Settings

        ports = Ports(api=1, ui=2, temporal=3, inbox=4, smtp=5, simulator=6)
        assert not Plan(tmp_path, ports, {}).brings_simulator
        assert "LUNAS_PAYMENT_METHODS" not in Plan(tmp_path, ports, {}).environment()
        real = Plan(tmp_path, ports, {"LUNAS_PAYMENT_METHODS": "stripe/credit_card"}, demo=True)
        assert not real.brings_simulator and "LUNAS_STRIPE_URL" not in real.environment()
        plan = Plan(tmp_path, ports, {}, demo=True)
        told = plan.environment()
        assert told == Plan(tmp_path, ports, {}, demo=True).environment(), "its keys outlive a restart"
        assert told["LUNAS_XENDIT_URL"] == told["LUNAS_STRIPE_URL"] == "http://127.0.0.1:6"
        names = {name.removeprefix("LUNAS_").lower(): value for name, value in told.items()}
        settings = Settings(**{name: names[name] for name in names if name in Settings.model_fields})  # type: ignore[arg-type]
        assert len(settings.payment_methods) == 4
        assert all(len(settings.webhook_keys(provider)) == 1 for provider in ("xendit", "midtrans", "stripe"))

    def test_one_folder_has_one_stack(self, tmp_path: Path, said: Said) -> None:
        from deploy.embedded.stack import sole_user

        with sole_user(tmp_path / "data"):
            code, _, err = said("up", "--once")
        assert code == 1 and "another `lunas up` works in" in err

    def test_a_crashed_child_is_started_again_and_none_is_left(self, tmp_path: Path) -> None:
        from deploy.embedded.stack import Child, running

        heard: list[str] = []
        mark = tmp_path / "starts"
        program = f"import pathlib, time; pathlib.Path({str(mark)!r}).open('a').write('x'); time.sleep(60)"

        async def started() -> bool:
            return mark.exists()

        async def story() -> tuple[int, int]:
            child = Child("part", [sys.executable, "-c", program], log=tmp_path / "part.log", ready=started)
            async with running([[child]], heard.append):
                first = child.pid
                assert first is not None
                os.kill(first, 9)
                async with asyncio.timeout(30):
                    while len(mark.read_text()) < 2:
                        await asyncio.sleep(0.05)
                second = child.pid
                assert second is not None
            return first, second

        first, second = asyncio.run(story())
        assert first != second
        assert "SIGKILL" in heard[0] and "runs again" in heard[1]
        for pid in (first, second):
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    def test_a_child_that_never_starts_says_why(self, tmp_path: Path) -> None:
        from deploy.embedded.stack import Child, PartFailed, running

        async def never() -> bool:
            return False

        async def story() -> None:
            program = "import sys; print('no such table'); sys.exit(3)"
            child = Child("part", [sys.executable, "-c", program], log=tmp_path / "part.log", ready=never)
            async with running([[child]], print):
                raise AssertionError("it must not start")

        with pytest.raises(PartFailed, match=r"code 3[\s\S]*no such table"):
            asyncio.run(story())
