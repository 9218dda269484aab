"""The warehouse: a sample bank that is the same each time, the user's own files, published whole or not"
" at all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from api.messages import message
from domain.warehouse_schema import TABLES
from infrastructure import warehouse_files
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_files import LoadReport
from infrastructure.warehouse_mapping import LoadRefusal, LoadRefused, read_mapping
from infrastructure.warehouse_sample import SampleSize
from infrastructure.warehouse_values import BadRow, amount_of

BUSINESS_DATE = date(2026, 7, 1)
SMALL = SampleSize(300, 3_000)
CDNOW = Path(__file__).parents[3] / "shared" / "data" / "cdnow"

CDNOW_MAPPING = """
currency = "USD"
[transactions]
file = "purchases.csv"
[transactions.columns]
customer_id = "customer_no"
booked_on = "purchased_on"
amount = "amount_usd"
merchant_category = { constant = "MUSIC" }
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """Write files into a folder of the user's."""

    def write(**files: str | bytes) -> Path:
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            (folder / name.replace("_", ".", 1)).write_bytes(raw)
        return folder

    return write


def rows(warehouse: Warehouse, table: str, columns: str = "*", source: str = "bank") -> list[tuple[Any, ...]]:
    path = warehouse.folder / source / f"{table}.parquet"
    with duckdb.connect() as connection:
        return connection.execute(f"select {columns} from '{path}' order by 1").fetchall()


def refusal(warehouse: Warehouse, folder: Path, mapping: Path | None = None) -> LoadRefusal:
    before = warehouse.snapshot()
    with pytest.raises(LoadRefused) as refused:
        warehouse.load_csv(folder, mapping=mapping)
    assert message(refused.value.code, refused.value.values, "zh")
    assert warehouse.snapshot() == before
    assert list(warehouse.folder.glob(".building-*")) == []
    return refused.value.code


def rejected(report: LoadReport) -> list[str]:
    assert report.rejected == sum(report.reasons.values())
    return report.rejects.read_text().split()[1:]


def test_the_sample_bank_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: Path) -> None:
    made = [
        Warehouse(tmp_path / str(number)).generate(BUSINESS_DATE, SMALL, seed)
        for number, seed in enumerate((1, 1, 2))
    ]
    assert made[0].id == made[1].id
    assert {name: file.sha256 for name, file in made[0].files.items()} == {
        name: file.sha256 for name, file in made[1].files.items()
    }
    assert made[2].id != made[0].id


def test_the_sample_bank_hangs_together(warehouse: Warehouse) -> None:
    reached: list[int] = []
    snapshot = warehouse.generate(BUSINESS_DATE, SMALL, progress=reached.append)
    assert {name: file.rows for name, file in snapshot.files.items()} == {
        "customers": 300, "customers.personal": 300, "cards": 400, "accounts": 300,
        "transactions": 3_000}  # fmt: skip
    assert snapshot.org_units == ("HO", "SH", "SZ")
    assert (snapshot.business_date, snapshot.source) == (BUSINESS_DATE, "bank")
    assert reached == sorted(reached)
    assert reached[-1] == 100
    customers = {row[0]: row[1] for row in rows(warehouse, "customers", "customer_id, org_unit")}
    cards = dict(rows(warehouse, "cards", "card_token, customer_id"))
    assert set(cards.values()) == set(customers)
    booked = rows(
        warehouse, "transactions", "transaction_id, card_token, customer_id, amount_minor, booked_on"
    )
    assert all(cards[card] == customer for _, card, customer, _, _ in booked)
    assert all(100 <= amount <= 500_000 for _, _, _, amount, _ in booked)
    assert (booked[0][4], booked[-1][4]) == (date(2025, 7, 1), date(2026, 6, 30))


def test_files_hold_the_columns_of_the_schema_and_personal_ones_lie_apart(warehouse: Warehouse) -> None:
    """LOG-19: a query that reads no personal column needs no file that has one"""
    warehouse.generate(BUSINESS_DATE, SMALL)
    for table in TABLES.values():
        with duckdb.connect() as connection:
            path = warehouse.folder / "bank" / f"{table.name}.parquet"
            found = [row[0] for row in connection.execute(f"describe select * from '{path}'").fetchall()]
        assert found == [column.name for column in table.columns if not column.is_personal]
    (first, *_) = rows(warehouse, "customers.personal")
    assert first[0] == "C00000001"
    assert len(first[1]) == 11


def test_the_sample_bank_is_made_once_only_and_never_over_the_users_own(
    warehouse: Warehouse, own: Callable[..., Path]
) -> None:
    first = warehouse.generate(BUSINESS_DATE, SMALL)
    assert warehouse.generate(date(2027, 1, 1), SampleSize(10, 10), 9) == first
    report = warehouse.load_csv(own(transactions_csv="customer_id,booked_on,amount\nA,2026-01-31,1.00\n"))
    assert warehouse.generate(BUSINESS_DATE, SMALL).id == report.snapshot


def test_a_snapshot_outlives_its_successor_for_whoever_still_reads_it(
    warehouse: Warehouse, own: Callable[..., Path]
) -> None:
    first = warehouse.generate(BUSINESS_DATE, SMALL)
    for day in (1, 2):
        warehouse.load_csv(own(transactions_csv=f"customer_id,booked_on,amount\nA,2026-01-0{day},1.00\n"))
        assert first.folder.exists() == (day == 1)


def test_own_transactions_are_loaded_by_their_header(warehouse: Warehouse, own: Callable[..., Path]) -> None:
    """DWH-02"""
    folder = own(
        transactions_csv="\ufefftransaction_id,customer_id,card_token,booked_on,amount_minor,currency,channel\r\n"
        "7,C1,T1,2026-01-31,1250,CNY,APP\r\n8,C1,T1,2026-02-01,-50,USD,\r\n"
    )
    report = warehouse.load_csv(folder)
    assert (report.transactions, report.customers, report.rejected) == (2, 1, 0)
    assert rows(warehouse, "transactions") == [
        (7, "T1", "C1", 1250, "CNY", date(2026, 1, 31), "", "APP"),
        (8, "T1", "C1", -50, "USD", date(2026, 2, 1), "", ""),
    ]
    assert rows(warehouse, "cards") == [("T1", "C1", "", date(2026, 1, 31), "ACTIVE", "")]
    assert rows(warehouse, "customers", "customer_id, org_unit, opened_on") == [
        ("C1", "HO", date(2026, 1, 31))
    ]
    snapshot = warehouse.snapshot()
    assert snapshot is not None
    assert (snapshot.business_date, snapshot.org_units) == (date(2026, 2, 2), ("HO",))


def test_own_customers_are_loaded_beside_and_strangers_transactions_rejected(
    warehouse: Warehouse, own: Callable[..., Path]
) -> None:
    """DWH-02: bad rows are rejected into a list"""
    folder = own(
        customers_csv="customer_id,org_unit,birth_year,name,is_overdue\nC1,SH,1990,王伟,true\nC2,XX,1980,李娜,0\n"
        "C3,,,张,\nC3,SZ,1970,again,0\n",
        transactions_csv="customer_id,booked_on,amount\nC1,2026-01-31,1.00\nC2,2026-01-31,2.00\nC3,2026-02-01,3\n",
    )
    report = warehouse.load_csv(folder)
    assert rows(warehouse, "customers", "customer_id, org_unit, birth_year, is_overdue") == [
        ("C1", "SH", 1990, True), ("C3", "HO", None, False)]  # fmt: skip
    assert rows(warehouse, "customers.personal") == [("C1", None, "王伟"), ("C3", None, "张")]
    assert [amount for _, amount in rows(warehouse, "transactions", "customer_id, amount_minor")] == [
        100,
        300,
    ]
    assert rejected(report) == [
        "customers.csv,3,unknown_org_unit", "customers.csv,5,duplicate",
        "transactions.csv,3,unknown_customer"]  # fmt: skip


def test_bad_rows_are_rejected_with_line_and_reason_and_good_ones_load(
    warehouse: Warehouse, own: Callable[..., Path]
) -> None:
    """DWH-02"""
    lines = [
        b"customer_id,booked_on,amount",
        b"C1,2026-01-31,1.00",
        b"C1,2026-01-31",
        b"C1,2026-01-31,1.00,x",
        b"C1,2026-02-30,1.00",
        b"C1,1066-01-01,1.00",
        b"C1,2026-01-31,one",
        b"C1,2026-01-31,1.001",
        b"C1,2026-01-31,1e30",
        b"C1,2026-01-31,NaN",
        b",2026-01-31,1.00",
        b"C 1,2026-01-31,1.00",
        b"4111111111111111,2026-01-31,1.00",
        b"C1,2026-01-\x0031,1.00",
        b'C1,"2026"-01-31,1.00',
        b"",
        b"C2,2026-02-28,-0.50",
    ]
    report = warehouse.load_csv(own(transactions_csv=b"\n".join(lines) + b"\n"))
    assert [row[1:3] for row in rows(warehouse, "transactions", "transaction_id, customer_id,"
     " amount_minor")] == [
        ("C1", 100), ("C2", -50)]  # fmt: skip
    assert [line.partition(",")[2] for line in rejected(report)] == [
        "3,ragged_row", "4,ragged_row", "5,bad_date", "6,date_out_of_range", "7,bad_amount",
        "8,amount_too_precise", "9,amount_out_of_range", "10,bad_amount", "11,bad_identifier",
        "12,bad_identifier", "13,card_number", "14,nul_byte", "15,bad_quotes"]  # fmt: skip


def test_a_transaction_twice_is_one(warehouse: Warehouse, own: Callable[..., Path]) -> None:
    """DWH-02: the same twice, no double"""
    text = "transaction_id,customer_id,booked_on,amount\n1,C1,2026-01-31,1.00\n1,C1,2026-01-31,1.00\n"
    report = warehouse.load_csv(own(transactions_csv=text))
    assert (report.transactions, report.reasons) == (1, {"duplicate": 1})
    assert warehouse.load_csv(own(transactions_csv=text)).snapshot == report.snapshot


def test_a_mapping_names_columns_constants_dates_and_currency(
    warehouse: Warehouse, own: Callable[..., Path]
) -> None:
    folder = own(
        booked_txt="客户;日期;金额;类\nC1;31.01.2026;1,5;A\n".replace("1,5", "1.5").encode("gb18030"),
        mapping_toml="""
            encoding = "gb18030"
            delimiter = ";"
            date_format = "%d.%m.%Y"
            currency = "JPY"
            [transactions]
            file = "booked.txt"
            [transactions.columns]
            customer_id = "客户"
            booked_on = "日期"
            amount = "金额"
            currency = { constant = "USD" }
            channel = { constant = "POS" }
        """,
    )
    warehouse.load_csv(folder)
    assert rows(warehouse, "transactions") == [(2, "TC1", "C1", 150, "USD", date(2026, 1, 31), "", "POS")]


def test_columns_parted_by_blanks_without_a_header_are_mapped_by_number(
    warehouse: Warehouse, own: Callable[..., Path]
) -> None:
    """As in the CDNOW file of marketing science."""
    folder = own(
        transactions_csv=" 00001 19970101  1   11.77\n 00002 19970112  5   77.00\n",
        mapping_toml="""
            delimiter = "whitespace"
            header = false
            date_format = "%Y%m%d"
            currency = "USD"
            [transactions.columns]
            customer_id = 1
            booked_on = 2
            amount = 4
        """,
    )
    warehouse.load_csv(folder)
    assert rows(warehouse, "transactions", "customer_id, amount_minor, booked_on") == [
        ("00001", 1177, date(1997, 1, 1)), ("00002", 7700, date(1997, 1, 12))]  # fmt: skip


@pytest.mark.skipif(not CDNOW.exists(), reason="the data set does not lie beside the project")
def test_cdnow_is_loaded_to_the_cent(warehouse: Warehouse, tmp_path: Path) -> None:
    """DWH-02: 69,659 purchases of 23,570 customers for 2,500,315.63 dollars, as its page says"""
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(CDNOW_MAPPING)
    report = warehouse.load_csv(CDNOW, mapping=mapping)
    assert (report.transactions, report.customers, report.rejected) == (69_659, 23_570, 0)
    ((total, days),) = rows(warehouse, "transactions", "sum(amount_minor), count(distinct booked_on)")
    with duckdb.connect() as connection:
        plain = f"select count(distinct purchased_on) from read_csv('{CDNOW / 'purchases.csv'}')"
        assert [(days,)] == connection.execute(plain).fetchall()
    assert total == 250_031_563


def test_folders_that_are_no_good_are_refused_and_change_nothing(
    warehouse: Warehouse, own: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DWH-02"""
    warehouse.generate(BUSINESS_DATE, SMALL)
    assert refusal(warehouse, tmp_path / "nowhere") == LoadRefusal.LOAD_FOLDER_MISSING
    assert refusal(warehouse, own()) == LoadRefusal.LOAD_FILE_MISSING
    assert refusal(warehouse, own(transactions_csv="a,b\n1,2\n")) == LoadRefusal.LOAD_COLUMNS_MISSING
    assert refusal(warehouse, own(transactions_csv="")) == LoadRefusal.LOAD_COLUMNS_MISSING
    header = "customer_id,booked_on,amount\n"
    assert refusal(warehouse, own(transactions_csv=header)) == LoadRefusal.LOAD_NO_GOOD_ROWS
    assert refusal(warehouse, own(transactions_csv=header + "C1,x,y\n")) == LoadRefusal.LOAD_NO_GOOD_ROWS
    chinese = (header + "C1,2026-01-31,1\n客户,2026-01-31,1\n").encode("gb18030")
    assert refusal(warehouse, own(transactions_csv=chinese)) == LoadRefusal.LOAD_BAD_ENCODING
    good = own(transactions_csv=header + "C1,2026-01-31,1\n" * 3)
    monkeypatch.setattr(warehouse_files, "ROWS_MAX", 2)
    assert refusal(warehouse, good) == LoadRefusal.LOAD_TOO_MANY_ROWS
    monkeypatch.setattr(warehouse_files, "FILE_BYTES_MAX", 10)
    assert refusal(warehouse, good) == LoadRefusal.LOAD_FILE_TOO_LARGE
    monkeypatch.setattr(warehouse_files, "FILES_MAX", 0)
    assert refusal(warehouse, good) == LoadRefusal.LOAD_TOO_MANY_FILES


@pytest.mark.parametrize(
    "mapping",
    ["nonsense = 1", "encoding = 'utf-7'", "encoding = 'none'", "delimiter ="
     " ',,'", "header = 'no'", "currency = 'XXX'",
     "date_format = 'day'", "header = false", "[transactions]\nfile ="
      " '../x.csv'", "[transactions]\nother = 1",
     "[transactions.columns]\nsalary = 'a'", "[transactions.columns]\ncustomer_id = 0", "[[["],
)  # fmt: skip
def test_a_mapping_that_makes_no_sense_is_refused(
    mapping: str, warehouse: Warehouse, own: Callable[..., Path]
) -> None:
    folder = own(transactions_csv="customer_id,booked_on,amount\nC1,2026-01-31,1\n", mapping_toml=mapping)
    assert refusal(warehouse, folder) == LoadRefusal.LOAD_BAD_MAPPING


def test_the_mappings_of_the_documentation_are_good(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text()
    examples = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    assert len(examples) == 2
    for example in examples:
        (tmp_path / "mapping.toml").write_text(example)
        assert read_mapping(tmp_path / "mapping.toml").transactions.columns


GENERATE = """
import sys
from datetime import date
from pathlib import Path
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
print("begun", flush=True)
Warehouse(Path(sys.argv[1])).generate(date(2026, 7, 1), SampleSize(3_000, 200_000))
"""


def test_a_killed_generation_leaves_nothing_that_counts_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "warehouse"
    for wait_s in (0.05, 0.15, 0.3, 0.45):
        process = subprocess.Popen(
            [sys.executable, "-c", GENERATE, str(folder)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait_s)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    warehouse = Warehouse(folder)
    snapshot = warehouse.generate(BUSINESS_DATE, SampleSize(3_000, 200_000))
    assert snapshot.files["transactions"].rows == 200_000
    assert [path for path in folder.iterdir() if path.name.startswith(".building")] == []


def test_an_amount_beyond_all_numbers_is_out_of_range() -> None:
    """One such row does not end the whole load."""
    for value in ("1e999999", "1e99999999999999", "-1e999999"):
        for is_decimal in (True, False):
            with pytest.raises(BadRow, match="amount_out_of_range"):
                amount_of(value, "CNY", is_decimal)
