"""Activity forms through the API: a new form of promotion is data, not a deployment."""

from tests.api.campaigns import ACTIVITY, activity_type, approved, code, plan
from tests.api.house import House

FORM = "activityForm { id version revision fields { name type isRequired least most choices } activityCount }"
FIELDS = [
    {
        "name": "minimum_spend",
        "label": "满额 Minimum",
        "type": "DECIMAL",
        "isRequired": True,
        "least": "0.01",
    },
    {"name": "days", "label": "Days", "type": "INTEGER", "least": "1", "most": "31"},
    {"name": "meal", "label": "Meal", "type": "CHOICE", "choices": ["lunch", "dinner"]},
    {"name": "until", "label": "Until", "type": "DATE", "most": "2027-12-31"},
    {"name": "weekend", "label": "Weekend", "type": "BOOLEAN"},
    {"name": "slogan", "label": "Slogan", "type": "TEXT"},
]


def form(house: House, **given):
    made = {"code": code("AF"), "name": code("Form"), "fields": FIELDS, **given}
    return house.done("admin", "addActivityForm", FORM, **made)


def values(**given: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in given.items()]


def test_a_form_defined_as_data_is_filled_in_by_an_activity(house: House) -> None:
    """ACT-11"""
    made = form(house)
    assert [field["name"] for field in made["fields"]] == [field["name"] for field in FIELDS]
    given = plan(
        activity_type(house)["id"],
        formId=made["id"],
        formRevision=1,
        formValues=values(minimum_spend="99.50", days="5", meal="dinner", until="2027-06-30", weekend="true"),
    )
    activity = house.done("operator", "draftActivity", ACTIVITY, code=code(), **given)
    query = "query ($id: ID!) { activity(id: $id) { form { id activityCount } formValues { name value } } }"
    found = house.data("auditor", query, id=activity["id"])["activity"]
    assert found["form"] == {"id": made["id"], "activityCount": 1}
    assert {"name": "minimum_spend", "value": "99.50"} in found["formValues"]
    assert house.refused("admin", "removeActivityForm", id=made["id"]) == [("IN_USE", "input")]


def test_what_is_filled_in_keeps_to_the_forms_rules_all_faults_at_once(house: House) -> None:
    """ACT-11, ACT-04"""
    given = plan(
        activity_type(house)["id"],
        formId=form(house)["id"],
        formValues=values(
            days="32", meal="tea", until="2028-01-01", weekend="yes", colour="red", slogan="a\x00"
        ),
    )
    assert house.refused("operator", "draftActivity", code=code(), **given) == [
        ("BAD_CHARACTERS", "input.formValues.slogan"),
        ("BAD_VALUE", "input.formValues.weekend"),
        ("NOT_A_CHOICE", "input.formValues.meal"),
        ("OUT_OF_RANGE", "input.formValues.days"),
        ("OUT_OF_RANGE", "input.formValues.until"),
        ("REQUIRED", "input.formValues.minimumSpend"),
        ("UNKNOWN_FIELD", "input.formValues.colour"),
    ]
    without = plan(activity_type(house)["id"], formValues=values(days="3"))
    assert house.refused("operator", "draftActivity", code=code(), **without) == [
        ("UNKNOWN_FIELD", "input.formValues.days")
    ]


def test_a_form_that_makes_no_sense_is_refused_where_it_is_wrong(house: House) -> None:
    fields = [
        {"name": "Bad Name", "label": "x", "type": "TEXT"},
        {"name": "a", "label": " ", "type": "TEXT", "least": "1"},
        {"name": "a", "label": "x", "type": "CHOICE"},
        {"name": "b", "label": "x", "type": "INTEGER", "most": "1.5"},
        {"name": "c", "label": "x", "type": "BOOLEAN", "choices": ["y", "y"]},
    ]
    assert house.refused("admin", "addActivityForm", code=code(), name=code(), fields=fields) == [
        ("BAD_BOUND", "input.fields.1.least"),
        ("BAD_BOUND", "input.fields.3.most"),
        ("BAD_FIELD_NAME", "input.fields.0.name"),
        ("CHOICES_NEEDED", "input.fields.2.choices"),
        ("CHOICES_NEEDED", "input.fields.4.choices"),
        ("DUPLICATE", "input.fields.2.name"),
        ("REQUIRED", "input.fields.1.label"),
    ]


def test_a_revised_or_disabled_form_is_not_chosen_unseen_and_an_approved_activity_keeps_its_own(
    house: House,
) -> None:
    made = form(house, fields=[])
    activity = approved(house, formId=made["id"])
    house.done("admin", "reviseActivityForm", FORM, id=made["id"], fields=FIELDS)
    stale = plan(activity_type(house)["id"], formId=made["id"], formRevision=1)
    assert ("REFERENCE_CHANGED", "input.formId") in house.refused(
        "operator", "draftActivity", code=code(), **stale
    )
    house.done("admin", "disableActivityForm", FORM, id=made["id"])
    fresh = plan(activity_type(house)["id"], formId=made["id"], formValues=values(minimum_spend="1"))
    assert house.refused("operator", "draftActivity", code=code(), **fresh) == [
        ("REFERENCE_DISABLED", "input.formId")
    ]
    query = "query ($id: ID!) { activity(id: $id) { status formRevision } }"
    assert house.data("operator", query, id=activity["id"])["activity"] == {
        "status": "APPROVED",
        "formRevision": 1,
    }
