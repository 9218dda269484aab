"""Segment contents: outputs classified, primary index among them, personal columns masked."""

from dataclasses import replace
from typing import Any

import pytest

from application.shared import engines
from domain import segment_contents
from domain.segment_contents import (
    DESCRIPTION_CHARACTERS_MAX,
    EXEMPTION_CHARACTERS_MAX,
    MAPPING_MAX,
    NAME_CHARACTERS_MAX,
    OUTPUTS_MAX,
    PARAMETERS_MAX,
    PRIMARY_INDEX_MAX,
    SQL_CHARACTERS_MAX,
    TRANSLATIONS_MAX,
    WIDTH_MAX,
    DeclaredParameter,
    MappedColumn,
    Mask,
    Output,
    ParameterType,
    SegmentRefusal,
    mentions,
    sound_content,
    used_parameters,
)
from domain.shared.refusal import CommonRefusal, Fault
from tests.domain.examples import CARD_NUMBER
from tests.domain.segments import CONTENT
from tests.given import ExpectedFault, refused

TOO_LONG, TOO_MANY, REQUIRED = CommonRefusal.TOO_LONG, CommonRefusal.TOO_MANY, CommonRefusal.REQUIRED


def mapped(**given: Any) -> dict[str, Any]:
    return {"mapping": (MappedColumn(**{"target": "MOBILE", "source": "mobile", **given}),)}


def test_a_sound_content_is_kept_as_it_is() -> None:
    """LOG-01"""
    assert sound_content(CONTENT) == CONTENT


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"name": " "}, [(REQUIRED, "name")]),
        ({"name": "x" * (NAME_CHARACTERS_MAX + 1)}, [(TOO_LONG, "name")]),
        ({"description": "x" * (DESCRIPTION_CHARACTERS_MAX + 1)}, [(TOO_LONG, "description")]),
        ({"sql": ""}, [(REQUIRED, "sql")]),
        ({"sql": "x" * (SQL_CHARACTERS_MAX + 1)}, [(TOO_LONG, "sql")]),
        ({"sql": f"select '{CARD_NUMBER}'"}, [(CommonRefusal.CARD_NUMBER_IN_TEXT, "sql")]),
        ({"source": ""}, [(REQUIRED, "source")]),
        ({"primary_index": ()}, [(REQUIRED, "primary_index")]),
        ({"primary_index": ("cust_id",)}, [(SegmentRefusal.PRIMARY_INDEX_NOT_OUTPUT, "primary_index", 0)]),
        ({"primary_index": ("mobile", "mobile")}, [(CommonRefusal.DUPLICATE, "primary_index", 1)]),
        ({"primary_index": ("mobile",) * (PRIMARY_INDEX_MAX + 1)}, [(TOO_MANY, "primary_index")]),
        ({"outputs": (), "primary_index": (), "mapping": ()},
         [(REQUIRED, "outputs"), (REQUIRED, "primary_index")]),
        ({"outputs": (*CONTENT.outputs, Output("a b", False))},
         [(SegmentRefusal.BAD_COLUMN_NAME, "outputs", 3, "name")]),
        ({"outputs": (*CONTENT.outputs, Output("MOBILE", True))},
         [(CommonRefusal.DUPLICATE, "outputs", 3, "name")]),
        ({"outputs": (*CONTENT.outputs, *(Output(f"c{i}", False) for i in range(OUTPUTS_MAX)))},
         [(TOO_MANY, "outputs")]),
        ({"outputs": (*CONTENT.outputs, Output("city", None))},
         [(SegmentRefusal.OUTPUT_UNCLASSIFIED, "outputs", 3, "is_personal")]),
        ({"parameters": (DeclaredParameter("Level", ParameterType.TEXT),)},
         [(SegmentRefusal.BAD_PARAMETER_NAME, "parameters", 0, "name")]),
        ({"parameters": (DeclaredParameter("data_to", ParameterType.DATE),)},
         [(SegmentRefusal.STANDARD_PARAMETER, "parameters", 0, "name")]),
        ({"parameters": CONTENT.parameters * 2}, [(CommonRefusal.DUPLICATE, "parameters", 1, "name")]),
        ({"parameters": CONTENT.parameters * (PARAMETERS_MAX + 1)}, [(TOO_MANY, "parameters")]),
        ({"mapping": CONTENT.mapping[:1] * (MAPPING_MAX + 1)}, [(TOO_MANY, "mapping")]),
        ({"mapping": CONTENT.mapping[:1] * 2}, [(CommonRefusal.DUPLICATE, "mapping", 1, "target")]),
        (mapped(source=None), [(SegmentRefusal.SOURCE_OR_CONSTANT, "mapping", 0, "source")]),
        (mapped(constant="M"), [(SegmentRefusal.SOURCE_OR_CONSTANT, "mapping", 0, "source")]),
        (mapped(source="city"), [(SegmentRefusal.NOT_AN_OUTPUT, "mapping", 0, "source")]),
        (mapped(source=None, constant="x" * 201), [(TOO_LONG, "mapping", 0, "constant")]),
        (mapped(width=WIDTH_MAX + 1), [(CommonRefusal.OUT_OF_RANGE, "mapping", 0, "width")]),
        (mapped(width=-1), [(CommonRefusal.OUT_OF_RANGE, "mapping", 0, "width")]),
        (mapped(translation={str(i): "x" for i in range(TRANSLATIONS_MAX + 1)}), [(TOO_MANY, "mapping")]),
        (mapped(translation={"M": "x" * 101}), [(TOO_LONG, "mapping", 0, "translation")]),
        (mapped(mask=Mask.CLEAR, exemption="x" * (EXEMPTION_CHARACTERS_MAX + 1)),
         [(TOO_LONG, "mapping", 0, "exemption")]),
    ],
)  # fmt: skip
def test_what_is_not_sound_is_refused_where_it_is_wrong(
    given: dict[str, Any], faults: list[ExpectedFault]
) -> None:
    """LOG-01, LOG-06, LOG-12, LOG-19"""
    with refused(*faults):
        sound_content(replace(CONTENT, **given))


def test_every_fault_is_told_at_once_with_those_that_others_found() -> None:
    found = Fault(CommonRefusal.CODE_TAKEN, ("code",))
    with refused((CommonRefusal.CODE_TAKEN, "code"), (REQUIRED, "name"), (REQUIRED, "primary_index")):
        sound_content(replace(CONTENT, name="", primary_index=()), [found])


@pytest.mark.parametrize("is_personal", [True, None])
def test_a_personal_column_is_shown_in_clear_by_exemption_alone(is_personal: bool | None) -> None:
    """LOG-19: masked in the export unless the mapping has an approved exemption."""
    outputs = (Output("customer_id", False), Output("mobile", is_personal))
    content = replace(CONTENT, outputs=outputs, **mapped(mask=Mask.CLEAR))
    unclassified = [(SegmentRefusal.OUTPUT_UNCLASSIFIED, "outputs", 1, "is_personal")] * (is_personal is None)
    with refused(*unclassified, (SegmentRefusal.PERSONAL_UNMASKED, "mapping", 0, "mask")):
        sound_content(content)
    if is_personal:
        exempt = replace(content, **mapped(mask=Mask.CLEAR, exemption="the mailing house writes letters"))
        assert sound_content(exempt) == exempt


@pytest.mark.parametrize("mask", set(Mask) - {Mask.CLEAR})
def test_any_mask_will_do_for_a_personal_column(mask: Mask) -> None:
    """LOG-19"""
    sound_content(replace(CONTENT, **mapped(mask=mask)))


def test_an_exemption_without_use_is_refused() -> None:
    """LOG-19: approvers judge exemptions that are needed, and no others."""
    with refused((SegmentRefusal.EXEMPTION_UNUSED, "mapping", 0, "exemption")):
        sound_content(replace(CONTENT, **mapped(exemption="just in case")))


def test_the_parameters_that_a_query_uses_are_found() -> None:
    assert used_parameters("select :a, b::date, ':c' -- :d\nwhere x=:data_from") == {
        "a",
        "c",
        "d",
        "data_from",
    }


def test_a_table_that_a_query_reads_is_mentioned_in_it() -> None:
    assert mentions('select 1 from "Customers"', "customers")
    assert not mentions("select 1 from customers_old", "customers")


def test_formats_and_masks_are_those_of_the_engine() -> None:
    """LOG-12: each is handed on by its value."""
    for name in ("FieldFormat", "Mask"):
        ours, theirs = getattr(segment_contents, name), getattr(engines, name)
        assert {each.value for each in ours} == {each.value for each in theirs}
    assert segment_contents.STANDARD_PARAMETERS == engines.STANDARD_PARAMETERS
