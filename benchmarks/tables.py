"""Checking large tables: neuropress against frictionless and against reading the files with csv alone.

    python benchmarks/tables.py [ROWS]

Makes clean tables of ROWS image rows (and as many sessions as they need), then runs each
candidate in a process of its own, three times in turn, and prints rows per second and peak
memory. frictionless gets a Table Schema made from the same JSON Schemas: types, required,
patterns, enumerations, minima and maxima, primary and foreign keys; neuropress checks all its
rules. frictionless is installed into an environment of its own beside the temporary tables.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import venv
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from statistics import median

ROUNDS = 3
MEASURE = """
import resource, sys, time
begun = time.perf_counter()
{body}
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, count)
"""
NEUROPRESS = """
from pathlib import Path
from neuropress.checks import check_tables
from neuropress.model.profile import load_profile
tables = check_tables(Path(sys.argv[1]), load_profile("dendritic-consortium"))
assert not [f for f in tables.findings if f.severity == "error"], tables.findings[:3]
count = sum(len(rows) for rows in tables.rows.values())
"""
FLOOR = """
import csv, pathlib
count = 0
for path in pathlib.Path(sys.argv[1]).glob("*.csv"):
    with path.open(encoding="utf-8", newline="") as file:
        count += sum(1 for _ in csv.reader(file)) - 1
"""
FRICTIONLESS = """
import frictionless
report = frictionless.Package(sys.argv[1] + "/datapackage.json").validate()
assert report.valid, report.flatten(["type", "message"])[:3]
count = sum(task.stats["rows"] for task in report.tasks)
"""


TABLES = (
    *("plasmid", "virus", "mouse", "session", "image", "ephys", "behavior"),
    *("sem_dataset", "micro_ct_dataset", "cell_detection_dataset", "model", "analysis"),
)


def make_tables(folder: Path, rows: int) -> None:
    """Clean tables: 9999 keys a lab and table is the limit of the published ids, so four labs share them."""
    labs = {"ML": "lin", "RY": "yuste", "JB": "basu", "EN": "nedivi"}
    each = min(rows // len(labs), 9999)
    content: dict[str, list[dict[str, str]]] = {"mouse": [], "session": [], "image": []}
    for lab, place in labs.items():
        for number in range(1, each + 1):
            day = f"{date(2025, 2, 1) + timedelta(days=number // 50):%Y%m%d}"  # nobody is in two sessions at a time
            mouse, session = f"{lab}_M_{number:04d}", f"{lab}_S_{number:04d}"
            content["mouse"].append(
                {
                    "mouse_id": mouse,
                    "strain": "C57BL/6J",
                    "sex": "F",
                    "birth_date": "20250101",
                    "weight": f"{20 + number % 90 / 10}",
                    "notes": f"mouse {number}",
                }
            )
            content["session"].append(
                {
                    "session_id": session,
                    "mouse_id": mouse,
                    "experimenter": f"Ada {lab.capitalize()} Example{number % 50}",
                    "session_date": day,
                    "start_time": "09:00",
                    "end_time": "10:00",
                }
            )
            content["image"].append(
                {
                    "image_id": f"{lab}_IMG_{number:04d}",
                    "session_id": session,
                    "image_type": "calcium",
                    "frame_rate": "30.5",
                    "x": "512",
                    "y": "512",
                    "z": "1000",
                    "pixel_size": f"0.{number % 9 + 1}",
                    "file_path_raw": f"{place}/{day}/image/raw/m{number}.tif",
                    "notes": f"image {number}",
                }
            )
    for table in TABLES:
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, schema(table)["required"], restval="")
            writer.writeheader()
            writer.writerows(content.get(table, []))


def schema(table: str) -> dict:
    return json.loads(files("neuropress.data.schemas").joinpath(f"{table}.schema.json").read_text("utf-8"))


def table_schema(table: str) -> dict:
    """The part of a JSON Schema that a Frictionless Table Schema can say."""
    fields = []
    whole = schema(table)
    for name, spec in ((n, whole["properties"][n]) for n in whole["required"]):
        options = spec.get("oneOf", [spec])
        nullable = len(options) > 1 or None in spec.get("enum", [])
        rule = next(o for o in options if o.get("type") != "null")
        constraints = {"required": not nullable}
        for ours, theirs in (("pattern", "pattern"), ("minimum", "minimum"), ("maximum", "maximum")):
            if (ours in rule and rule[ours].__class__ is not str) or (ours == "pattern" and ours in rule):
                constraints[theirs] = rule[ours]
        if "pattern" in constraints and not constraints["pattern"].endswith("$"):
            constraints["pattern"] += ".*"  # frictionless matches the whole text
        if "enum" in rule:
            constraints["enum"] = [v for v in rule["enum"] if v is not None]
        kind = {"number": "number", "integer": "integer", "boolean": "boolean"}.get(str(rule.get("type")), "string")
        fields.append({"name": name, "type": kind, "constraints": constraints})
    keys = {
        "mouse": ("mouse_id", {}),
        "session": ("session_id", {"mouse_id": "mouse"}),
        "image": ("image_id", {"session_id": "session"}),
    }
    key, foreign = keys[table]
    references = [{"fields": [c], "reference": {"resource": t, "fields": [c]}} for c, t in foreign.items()]
    return {"fields": fields, "primaryKey": [key], "foreignKeys": references}


def make_package(folder: Path) -> None:
    resources = [{"name": t, "path": f"{t}.csv", "schema": table_schema(t)} for t in ("mouse", "session", "image")]
    (folder / "datapackage.json").write_text(json.dumps({"name": "tables", "resources": resources}), "utf-8")


def run(python: str, body: str, folder: Path) -> tuple[float, float, int]:
    done = subprocess.run(
        [python, "-c", MEASURE.format(body=body), str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, memory, count = done.stdout.split()
    return float(seconds), float(memory), int(count)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    with tempfile.TemporaryDirectory() as name:
        tables, environment = Path(name) / "tables", Path(name) / "venv"
        tables.mkdir()
        make_tables(tables, rows)
        make_package(tables)
        venv.create(environment, with_pip=True)
        other = str(environment / "bin" / "python")
        subprocess.run([other, "-m", "pip", "install", "-q", "frictionless"], check=True, stderr=subprocess.DEVNULL)
        candidates = {
            "csv alone (floor)": (sys.executable, FLOOR),
            "neuropress": (sys.executable, NEUROPRESS),
            "frictionless": (other, FRICTIONLESS),
        }
        results: dict[str, list[tuple[float, float, int]]] = {title: [] for title in candidates}
        for _ in range(ROUNDS):
            for title, (python, body) in candidates.items():
                results[title].append(run(python, body, tables))
        base = median(r[0] for r in results["neuropress"])
        print(f"{'':20}{'rows':>9}{'seconds':>10}{'rows/s':>10}{'peak MB':>10}{'relative':>10}")
        for title, found in results.items():
            seconds, count = median(r[0] for r in found), found[0][2]
            print(
                f"{title:20}{count:>9}{seconds:>10.2f}{count / seconds:>10.0f}{median(r[1] for r in found):>10.0f}{seconds / base:>10.2f}"
            )


if __name__ == "__main__":
    main()
