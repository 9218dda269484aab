"""Exported files, byte for byte: order, widths, padding, cents, dates, constants, translations, masks,"
" encodings."""

import hashlib
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from application.shared.engines import (
    Encoding,
    FieldFormat,
    FileLayout,
    GrantedTable,
    MappedField,
    Mask,
    RunFailed,
    RunFailure,
)
from domain.warehouse_schema import TABLES
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.warehouse import Warehouse
from tests.infrastructure.queries import query

GOLDEN = Path(__file__).parent / "exports"
"""The files as they must be, but all of them in UTF-8."""

EVERYTHING = tuple(GrantedTable(table.name, table.column_names) for table in TABLES.values())
CUSTOMERS = (
    "customer_id,org_unit,gender,level,mobile,name,opened_on\n"
    "C7,HO,F,GOLD,13900001234,王伟,2019-02-28\n"
    'C8,SH,M,NORMAL,13900005678,"欧阳, ""娜娜""",2020-12-01\n'
    "C9,SZ,,PLATINUM,139,李,2026-01-31\n"
)
TRANSACTIONS = """customer_id,booked_on,amount
C7,2026-01-31,1234.50
C8,2026-02-01,-0.05
C9,2026-02-01,70
"""
SQL = """
    select c.customer_id as cust_id, c.gender, c.level, c.mobile, c.name, c.opened_on,
           sum(t.amount_minor) as amt, sum(t.amount_minor)::decimal(18, 2) / 100 as ratio,
           cast(sum(t.amount_minor) as decimal(18, 2)) as big, '622588********1234' as card
    from customers c join transactions t using (customer_id) group by 1, 2, 3, 4, 5, 6
"""
LEVELS = {"NORMAL": "1", "GOLD": "2", "PLATINUM": "3"}

MAPPINGS: dict[str, tuple[tuple[MappedField, ...], FileLayout]] = {
    "points.csv": (
        (
            MappedField("CUSTNO", "cust_id", width=10, is_zero_padded=True),
            MappedField("AMT", "amt", format=FieldFormat.CENTS),
            MappedField("YUAN", "amt", format=FieldFormat.YUAN),
            MappedField("LEVEL", "level", translation=LEVELS),
            MappedField("SEX", "gender", translation={"F": "女", "*": "其他"}),
            MappedField("NAME", "name", mask=Mask.CLEAR),
            MappedField("SINCE", "opened_on", format=FieldFormat.DATE),
            MappedField("SOURCE", constant="CARDINAL"),
        ),
        FileLayout(),
    ),
    "masked.txt": (
        (
            MappedField("NAME", "name", mask=Mask.NAME),
            MappedField("MOBILE", "mobile"),
            MappedField("AGAIN", "name"),
            MappedField("CARD", "card", mask=Mask.CARD),
            MappedField("SHORT", "cust_id", mask=Mask.CARD),
            MappedField("HIDDEN", "level", mask=Mask.ALL),
        ),
        FileLayout(Encoding.GB18030, "|"),
    ),
    "fixed.txt": (
        (
            MappedField("CUSTNO", "cust_id", width=6),
            MappedField("AMT", "amt", format=FieldFormat.CENTS, width=10, is_zero_padded=True),
            MappedField("BIG", "big", format=FieldFormat.CENTS, width=12, is_zero_padded=True),
            MappedField("SINCE", "opened_on", format=FieldFormat.DATE_COMPACT, width=8),
            MappedField("FILLER", constant="", width=3),
            MappedField("N", "amt", format=FieldFormat.INTEGER, width=8),
        ),
        FileLayout(separator="", has_header=False),
    ),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDBEngine:
    home = tmp_path_factory.mktemp("home")
    (home / "own").mkdir()
    (home / "own" / "customers.csv").write_text(CUSTOMERS)
    (home / "own" / "transactions.csv").write_text(TRANSACTIONS)
    warehouse = Warehouse(home / "warehouse")
    warehouse.load_csv(home / "own")
    return DuckDBEngine(warehouse, home / "results")


@pytest.fixture(scope="module")
def run_id(engine: DuckDBEngine) -> UUID:
    outputs = "cust_id gender level *mobile *name opened_on amt ratio big card"
    given = query(SQL, outputs, granted=EVERYTHING)
    assert engine.check(given) == ()
    return engine.run(uuid4(), given, lambda _: None, lambda: False).run_id


@pytest.mark.parametrize("name", MAPPINGS)
def test_an_exported_file_is_the_golden_one_byte_for_byte(
    name: str, engine: DuckDBEngine, run_id: UUID, tmp_path: Path
) -> None:
    """LOG-12, LOG-19: personal columns are masked unless the mapping is exempted"""
    mapping, layout = MAPPINGS[name]
    exported = engine.export(run_id, mapping, tmp_path / name, layout)
    content = (tmp_path / name).read_bytes()
    assert content == (GOLDEN / name).read_bytes().decode().encode(layout.encoding)
    assert (exported.path, exported.rows, exported.bytes) == (tmp_path / name, 3, len(content))
    assert exported.sha256 == hashlib.sha256(content).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("field", "offenders"),
    [(MappedField("A", "level", width=4), 2),
     (MappedField("A", "amt", width=2, is_zero_padded=True), 2),
     (MappedField("A", "level", translation={"GOLD": "2"}), 2), (MappedField("A", "salary"), 0),
     (MappedField("A", "ratio", format=FieldFormat.CENTS), 0),
     (MappedField("A", "level", format=FieldFormat.DATE), 0),
     (MappedField("A", "level", format=FieldFormat.INTEGER), 0), (MappedField("A"), 0),
     (MappedField("A", "level", constant="x"), 0), (MappedField("A", "level", width=-1), 0),
     (MappedField("A", "level", width=1_001), 0), (MappedField("", "level"), 0),
     (MappedField("A\n", "level"), 0),
     (MappedField("A", constant="x\ny"), 0)],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_the_values_is_refused_and_nothing_is_cut(
    field: MappedField, offenders: int, engine: DuckDBEngine, run_id: UUID, tmp_path: Path
) -> None:
    """LOG-12"""
    with pytest.raises(RunFailed) as failed:
        engine.export(run_id, [field], tmp_path / "x.csv")
    assert failed.value.code == RunFailure.BAD_MAPPING
    assert failed.value.values["offenders"] == str(offenders)
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_fields_with_names_of_their_own_and_a_sound_layout(
    engine: DuckDBEngine, run_id: UUID, tmp_path: Path
) -> None:
    once = MappedField("A", "level")
    for mapping, layout in (
        ([], FileLayout()),
        ([once, once], FileLayout()),
        ([once] * 201, FileLayout()),
        ([once], FileLayout(separator="||")),
        ([once], FileLayout(separator='"')),
        ([once], FileLayout(separator="")),
    ):
        with pytest.raises(RunFailed):
            engine.export(run_id, mapping, tmp_path / "x.csv", layout)
    assert list(tmp_path.iterdir()) == []


def test_quotes_in_constants_and_names_stay_text(engine: DuckDBEngine, run_id: UUID, tmp_path: Path) -> None:
    evil = "x'; drop table y --"
    mapping = [MappedField("A", constant=evil), MappedField("B", "level", translation={evil: "1", "*": evil})]
    engine.export(run_id, mapping, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().splitlines()[1] == f"{evil},{evil}"


def test_dates_of_the_file_are_those_of_the_rows(engine: DuckDBEngine, run_id: UUID) -> None:
    assert [row[0] for row in engine.rows(run_id, ["opened_on"])] == [
        date(2019, 2, 28), date(2020, 12, 1), date(2026, 1, 31)]  # fmt: skip
