"""Field rules: every type keeps to its form and its bounds, and a definition makes sense or is refused."""

import pytest

from domain.shared.field_rules import (
    CHOICES_MAX,
    FIELDS_MAX,
    FieldRefusal,
    FieldRule,
    FieldType,
    rule_faults,
    value_faults,
)
from domain.shared.refusal import CommonRefusal

SOUND = {
    FieldType.TEXT: ["any text", "中文"],
    FieldType.INTEGER: ["0", "-7", "123456789012345678"],
    FieldType.DECIMAL: ["0.5", "-3", "12.000001"],
    FieldType.BOOLEAN: ["true", "false"],
    FieldType.DATE: ["2027-02-28", "2028-02-29"],
    FieldType.CHOICE: ["lunch"],
}
UNSOUND = {
    FieldType.INTEGER: ["1.5", "1e3", "NaN", "٣", "1 ", "+1", "1234567890123456789"],
    FieldType.DECIMAL: ["1,5", ".5", "Infinity", "1.0000001"],
    FieldType.BOOLEAN: ["yes", "TRUE", "1"],
    FieldType.DATE: ["2027-02-29", "20270228", "2027-2-8", "tomorrow!!"],
}


def rule(type_: FieldType, **given: object) -> FieldRule:
    choices = ("lunch", "dinner") if type_ is FieldType.CHOICE else ()
    return FieldRule(**{"name": "field", "label": "Field", "type": type_, "choices": choices, **given})


@pytest.mark.parametrize(("type_", "value"), [(t, v) for t, values in SOUND.items() for v in values])
def test_a_sound_value_of_each_type_is_taken(type_: FieldType, value: str) -> None:
    """ACT-11"""
    assert list(value_faults([rule(type_)], {"field": value})) == []


@pytest.mark.parametrize(("type_", "value"), [(t, v) for t, values in UNSOUND.items() for v in values])
def test_a_value_that_has_not_the_form_of_its_type_is_refused(type_: FieldType, value: str) -> None:
    """ACT-11"""
    [fault] = value_faults([rule(type_)], {"field": value}, "values")
    assert (fault.code, fault.path) == (FieldRefusal.BAD_VALUE, ("values", "field"))


@pytest.mark.parametrize(
    ("type_", "least", "most", "value", "is_within"),
    [
        (FieldType.INTEGER, "1", "31", "1", True),
        (FieldType.INTEGER, "1", "31", "31", True),
        (FieldType.INTEGER, "1", "31", "32", False),
        (FieldType.INTEGER, "1", None, "0", False),
        (FieldType.DECIMAL, None, "9.99", "10", False),
        (FieldType.DATE, "2027-01-01", "2027-12-31", "2028-01-01", False),
        (FieldType.DATE, "2027-01-01", "2027-12-31", "2027-12-31", True),
    ],
)
def test_bounds_are_inclusive(
    type_: FieldType, least: str | None, most: str | None, value: str, is_within: bool
) -> None:
    faults = [fault.code for fault in value_faults([rule(type_, least=least, most=most)], {"field": value})]
    assert faults == ([] if is_within else [CommonRefusal.OUT_OF_RANGE])


def test_a_required_field_is_filled_in_and_an_unknown_one_is_not() -> None:
    faults = value_faults([rule(FieldType.TEXT, is_required=True)], {"field": "", "other": "x"})
    assert [(fault.code, fault.path) for fault in faults] == [
        (FieldRefusal.UNKNOWN_FIELD, ("other",)),
        (CommonRefusal.REQUIRED, ("field",)),
    ]


@pytest.mark.parametrize(
    ("given", "code", "place"),
    [
        ({"name": "Upper"}, FieldRefusal.BAD_FIELD_NAME, "name"),
        ({"name": "x" * 41}, FieldRefusal.BAD_FIELD_NAME, "name"),
        ({"label": ""}, CommonRefusal.REQUIRED, "label"),
        ({"least": "1"}, FieldRefusal.BAD_BOUND, "least"),
        ({"type": FieldType.INTEGER, "most": "x"}, FieldRefusal.BAD_BOUND, "most"),
        ({"type": FieldType.CHOICE, "choices": ()}, FieldRefusal.CHOICES_NEEDED, "choices"),
        ({"choices": ("a",)}, FieldRefusal.CHOICES_NEEDED, "choices"),
        ({"type": FieldType.CHOICE, "choices": ("a", "a")}, CommonRefusal.DUPLICATE, "choices"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(given: dict, code: object, place: str) -> None:
    [fault] = rule_faults([rule(given.pop("type", FieldType.TEXT), **given)], "fields")
    assert (fault.code, fault.path) == (code, ("fields", 0, place))


def test_a_form_has_its_limits() -> None:
    many = [rule(FieldType.TEXT, name=f"f{number}") for number in range(FIELDS_MAX + 1)]
    assert [fault.code for fault in rule_faults(many)] == [CommonRefusal.TOO_MANY]
    choices = tuple(map(str, range(CHOICES_MAX + 1)))
    assert CommonRefusal.TOO_MANY in {f.code for f in rule_faults([rule(FieldType.CHOICE, choices=choices)])}
