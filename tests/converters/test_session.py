"""The session converter: NWB's own fields and the subject, from one row and its parents."""

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from neuropress.converters import Job, load_converter
from neuropress.converters import session as session_converter
from neuropress.mapping.rules import Scope, apply_mapping, check_mapping, load_mapping
from neuropress.model.finding import Problem
from neuropress.model.people import Person
from neuropress.model.plan import Field, Node
from neuropress.model.profile import Profile, load_profile
from neuropress.model.record import Cell, CellRef, Record, Value

PROFILE = load_profile("dendritic-consortium")


def make_record(table: str, key: str, parents: dict[str, Record] | None = None, **values: Value) -> Record:
    values = {f"{table}_id": key, **values}
    whole = {column: values.get(column) for column in PROFILE.tables[table].columns}
    cells = {
        column: Cell("" if value is None else "TRUE" if value is True else str(value))
        for column, value in whole.items()
    }
    return Record(table, key, 2, cells, whole, parents or {})


PLASMID = make_record(
    "plasmid", "ML_P_0001", plasmid_name="pAAV-syn-JEDI-2P", gene="JEDI-2P", indicator="voltage indicator",
    wavelength=Decimal("509"), promoter="syn", backbone="pAAV", tuning="negative",
)  # fmt: skip
VIRUS = make_record(
    "virus", "RY_V_0001", {"plasmid": PLASMID}, virus_name="AAV1; hSyn=JEDI2P", plasmid_id="ML_P_0001",
    serotype="AAV1", floxed=True, titer="1.2e13",
)  # fmt: skip
MOUSE = {
    "litter_id": "RY_L_0001", "strain": "Camk2a-Cre;Ai162", "genotype": "+/\u2212;+/-", "cre_line": "Camk2a-Cre",
    "sex": "F", "birth_date": "20250101", "weight": Decimal("24.50"), "virus_id": "RY_V_0001", "notes": "calm",
}  # fmt: skip
SESSION = {
    "mouse_id": "RY_M_0001", "experimenter": "Ada Lovelace", "session_date": "20250620", "start_time": "09:30",
    "end_time": "11:45", "anesthesia": "isoflurane", "notes": "first day,\nquiet room",
}  # fmt: skip


def make_mouse(parents: dict[str, Record] | None = None, **changes: Value) -> Record:
    return make_record("mouse", "RY_M_0001", {"virus": VIRUS} if parents is None else parents, **{**MOUSE, **changes})


def make_job(animal: Record | None = None, profile: Profile = PROFILE, **changes: Value) -> Job:
    row = make_record("session", "RY_S_0001", {"mouse": animal or make_mouse()}, **{**SESSION, **changes})
    fields = apply_mapping(load_mapping("session"), Scope(row, profile))
    return Job(row, "", "", (), fields, profile)


def build_nodes(*args: Any, **changes: Any) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Values of the file, values of the subject, ids of the findings."""
    result = session_converter.build([make_job(*args, **changes)])
    file, subject, *_ = result.nodes
    assert (file.path, file.type) == ("/", "NWBFile")
    assert (subject.path, subject.type) == ("/general/subject", "Subject")
    return get_values(file), get_values(subject), [f.id for f in result.findings]


def get_values(node: Node) -> dict[str, Any]:
    return {name: field.value for name, field in node.fields.items()}


def test_names_of_the_mapping_exist() -> None:
    module = load_converter("session")
    assert module is session_converter
    check_mapping(load_mapping("session"), module.SLOTS, module.BINDINGS, PROFILE)
    assert module.takes(make_job().record)
    assert not module.takes(make_mouse())
    assert module.bindings(make_job().record) == {}


def test_a_whole_row() -> None:
    file, subject, findings = build_nodes()
    identifier = file.pop("identifier")
    assert identifier.startswith("dendritic-consortium:RY_S_0001:")
    assert len(identifier.rpartition(":")[2]) == 16
    assert file == {
        "session_id": "RY_S_0001",
        "session_description": "Recording session RY_S_0001 of mouse RY_M_0001",
        "session_start_time": "2025-06-20T09:30:00-04:00",
        "experimenter": ["Ada Lovelace"],
        "institution": "Columbia University",
        "lab": "Rafael Yuste",
        "experiment_description": f"{PROFILE.defaults['experiment_description']} (dataset default)",
        "pharmacology": "anesthesia: isoflurane",
        "notes": "first day,\nquiet room",
        "virus": "virus_id=RY_V_0001; name=AAV1%3B hSyn%3DJEDI2P; serotype=AAV1; floxed=TRUE; titer_GC_per_mL=1.2e13; "
        "plasmid_id=ML_P_0001; plasmid=pAAV-syn-JEDI-2P; gene=JEDI-2P; kind=voltage indicator; promoter=syn; "
        "backbone=pAAV; tuning=negative; wavelength_nm=509",
    }
    assert subject == {
        "subject_id": "RY_M_0001",
        "species": "Mus musculus",
        "sex": "F",
        "date_of_birth": "2025-01-01T00:00:00-05:00",
        "weight": "24.50 g",
        "strain": "Camk2a-Cre;Ai162",
        "genotype": "Camk2a-Cre +/-; Ai162 +/-",
        "description": "Mouse RY_M_0001; litter RY_L_0001; Cre line Camk2a-Cre; virus RY_V_0001; notes: calm",
    }
    assert findings == []


def test_every_field_names_its_rule_and_cells() -> None:
    result = session_converter.build([make_job()])
    for node in result.nodes:
        for name, field in node.fields.items():
            assert field.rule.startswith(("session/", "session:")), name
            assert field.sources, name
    file, subject, bounds = result.nodes
    assert get_values(bounds)["timestamp"] == [0.0, 8100.0]
    assert {ref.column for ref in bounds.fields["timestamp"].sources} >= {"start_time", "end_time"}
    assert file.fields["experimenter"].sources == (CellRef("session", "RY_S_0001", "experimenter", "Ada Lovelace"),)
    assert file.fields["institution"].sources[0].origin == "default"
    assert {ref.table for ref in file.fields["virus"].sources} == {"virus", "plasmid"}
    assert subject.fields["weight"].sources == (CellRef("mouse", "RY_M_0001", "weight", "24.50"),)


def test_blank_cells_stay_absent() -> None:
    blank = dict.fromkeys((*MOUSE, "virus_id"))
    file, subject, findings = build_nodes(make_mouse({}, **blank), anesthesia=None, notes=None)
    assert not {"pharmacology", "notes", "virus"} & set(file)
    assert subject == {
        "subject_id": "RY_M_0001",
        "species": "Mus musculus",
        "sex": "U",
        "age": "P0D/",
        "description": "Mouse RY_M_0001",
    }
    assert findings == ["session.age_unknown"]


def test_a_plasmid_of_its_own_is_the_subject_s_and_no_virus() -> None:
    known = {**PLASMID.values, "plasmid_id": "EN_P_0002", "backbone": None, "notes": "from a friend"}
    own = make_record("plasmid", "EN_P_0002", **{k: v for k, v in known.items() if k != "plasmid_id"})
    file, subject, _ = build_nodes(make_mouse({"virus": VIRUS, "plasmid": own}))
    assert file["virus"].startswith("virus_id=RY_V_0001; ")
    assert "\n" not in file["virus"]
    line = (
        "plasmid_id=EN_P_0002; plasmid=pAAV-syn-JEDI-2P; gene=JEDI-2P; kind=voltage indicator; promoter=syn; "
        "tuning=negative; wavelength_nm=509; plasmid_notes=from a friend"
    )
    assert subject["description"].split("\n")[1] == f"Plasmid of the mouse: {line}"
    file, _, _ = build_nodes(make_mouse({"plasmid": own}))
    assert "virus" not in file


def test_each_virus_stands_once_and_injections_are_surgery() -> None:
    mouse = make_mouse()
    other = make_record("virus", "RY_V_0002", virus_name="AAV9-Cre", notes="a; b")
    rows = []
    for number, virus in enumerate((VIRUS, other, VIRUS, None), 1):
        parents = {"mouse": mouse} | ({"virus": virus} if virus else {})
        given = {"mouse_id": mouse.key, "virus_id": virus.key if virus else None, "volume": Decimal(300)}
        rows.append(make_record("injection", f"RY_INJ_000{number}", parents, **given))
    file, _, _ = build_nodes(dataclasses.replace(mouse, companions=tuple(rows)))
    assert [line.partition(";")[0] for line in file["virus"].split("\n")] == [
        "virus_id=RY_V_0001",
        "virus_id=RY_V_0002",
    ]
    assert file["virus"].endswith("name=AAV9-Cre; notes=a%3B b")
    assert file["surgery"].split("\n") == [
        "injection_id=RY_INJ_0001; volume_nL=300; virus_id=RY_V_0001",
        "injection_id=RY_INJ_0002; volume_nL=300; virus_id=RY_V_0002",
        "injection_id=RY_INJ_0003; volume_nL=300; virus_id=RY_V_0001",
        "injection_id=RY_INJ_0004; volume_nL=300",
    ]


def test_the_end_past_midnight_and_over_a_change_of_clocks() -> None:
    def measure(**cells: Value) -> float:
        *_, bounds = session_converter.build([make_job(**cells)]).nodes
        return float(get_values(bounds)["timestamp"][1])

    assert measure(start_time="23:30", end_time="00:30") == 3600
    assert measure(session_date="20250308", start_time="23:30", end_time="03:30") == 3 * 3600
    assert len(session_converter.build([make_job(end_time=None)]).nodes) == 2


def test_a_lab_s_default_is_a_fact_and_the_dataset_s_is_marked() -> None:
    labs = {
        **PROFILE.labs,
        "RY": dataclasses.replace(
            PROFILE.labs["RY"], overrides={"experiment_description": "Ours.", "keywords": "a; b"}
        ),
    }
    file, _, _ = build_nodes(profile=dataclasses.replace(PROFILE, labs=labs))
    assert (file["experiment_description"], file["keywords"]) == ("Ours.", ["a", "b"])
    defaults = {**PROFILE.defaults, "keywords": "c"}
    file, _, _ = build_nodes(profile=dataclasses.replace(PROFILE, defaults=defaults))
    assert "keywords" not in file


PEOPLE = (
    Person("Ram\u00f3n y Cajal, Santiago", ("Santiago Ram\u00f3n y Cajal", "S. Cajal"), "0000-0002-1825-0097"),
    Person("N\u00fa\u00f1ez Yuste, Rafael", ("Rafael N\u00fa\u00f1ez Yuste",)),
)


@pytest.mark.parametrize(
    "name",
    [
        "Ada Lovelace",
        "Juan de la Cruz",
        "Rafael N\u00fa\u00f1ez Yuste",
        "\u738b\u5c0f\u660e",
        "Plato",
        " Ada  Lovelace ",
    ],
)
def test_a_name_outside_the_people_list_stays_as_typed(name: str) -> None:
    result = session_converter.build([make_job(experimenter=name)])
    assert result.nodes[0].fields["experimenter"].value == [name]
    assert result.findings == ()


@pytest.mark.parametrize(
    ("name", "formal"),
    [
        ("Santiago Ram\u00f3n y Cajal", "Ram\u00f3n y Cajal, Santiago"),
        ("Santiago  Ramo\u0301n y Cajal", "Ram\u00f3n y Cajal, Santiago"),
        ("S. Cajal", "Ram\u00f3n y Cajal, Santiago"),
        ("Rafael N\u00fa\u00f1ez Yuste", "N\u00fa\u00f1ez Yuste, Rafael"),
        ("N\u00fa\u00f1ez Yuste, Rafael", "N\u00fa\u00f1ez Yuste, Rafael"),
    ],
)
def test_listed_people_are_written_as_standards_want_them(name: str, formal: str) -> None:
    profile = dataclasses.replace(PROFILE, people=PEOPLE)
    file, _, _ = build_nodes(profile=profile, experimenter=name)
    assert file["experimenter"] == [formal]


def test_no_start_is_refused_and_a_given_one_is_taken() -> None:
    blank = make_job(start_time=None, end_time=None)
    with pytest.raises(Problem, match="RY_S_0001 has no start time") as caught:
        session_converter.build([blank])
    found = caught.value.finding
    assert (found.id, found.location.column, found.location.line) == ("session.no_start", "start_time", 2)
    start = Field("2025-06-20T14:05:06.789000-04:00", "session:start_from_header")
    given = dataclasses.replace(
        blank, fields={**blank.fields, "file": {**blank.fields["file"], "session_start_time": start}}
    )
    assert session_converter.build([given]).nodes[0].fields["session_start_time"] is start


def test_the_identifier_follows_from_the_rows() -> None:
    first = build_nodes()[0]["identifier"]
    assert first == build_nodes()[0]["identifier"]
    assert first != build_nodes(notes="other")[0]["identifier"]
    assert first != build_nodes(make_mouse(weight=Decimal("25")))[0]["identifier"]


def test_zone_of_the_lab() -> None:
    labs = {**PROFILE.labs, "RY": dataclasses.replace(PROFILE.labs["RY"], timezone="Asia/Kathmandu")}
    file, subject, _ = build_nodes(profile=dataclasses.replace(PROFILE, labs=labs))
    assert file["session_start_time"] == "2025-06-20T09:30:00+05:45"
    assert subject["date_of_birth"] == "2025-01-01T00:00:00+05:45"
