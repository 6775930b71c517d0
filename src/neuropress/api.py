"""The library's face: a dataset, whose methods are the verbs of the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from .config import DEFAULT_PROFILE, Config, Named
from .model.finding import problem
from .model.progress import Progress, no_progress
from .model.record import Record
from .model.report import Report
from .model.run_part import RunPart
from .planning.targets import Wanted
from .readers.format import suggest_name
from .storage.remote import ResultPath
from .verbs.adding import Occasion, add_files
from .verbs.check import check_dataset, write_facts, write_lab_letter
from .verbs.convert import Options, convert_dataset
from .verbs.coverage import CoverageReport, Place, cover_dataset, find_cell
from .verbs.explain import ExplainReport, explain_file
from .verbs.fix import apply_fixes, propose_fixes
from .verbs.init import make_dataset
from .verbs.inventory import list_files
from .verbs.letter import Letter
from .verbs.parts import convert_part
from .verbs.plan import plan_dataset
from .verbs.run import run_dataset
from .verbs.validate import validate_dataset
from .verbs.verify import verify_dataset
from .workspace import EVERYTHING, Selection, Workspace

type PathLike = str | os.PathLike[str]


class Dataset:
    """One dataset folder. Make it with `neuropress.open` or `Dataset.init`.

    Every verb reads the tables anew and returns one `Report`; bad input never raises, it becomes findings.

    Examples
    --------
    >>> from neuropress import Dataset
    >>> lab = {"name": "Smith lab", "institution": "University of X", "timezone": "Europe/Berlin"}
    >>> dataset = Dataset.init("ds", labs={"AB": lab})
    >>> dataset
    <Dataset ds: profile generic 1, 7 tables>
    >>> report = dataset.check()
    >>> report.ok
    True
    >>> dataset.run().steps[0]
    <Report of check: 1 info>
    """

    def __init__(self, config: Config) -> None:
        self.workspace = Workspace(config)

    def __repr__(self) -> str:
        profile = self.config.profile
        required = sum(not spec.optional_table for spec in profile.tables.values())
        return f"<Dataset {self.config.root.name}: profile {profile.name} {profile.version}, {required} tables>"

    @classmethod
    def open(cls, path: PathLike = ".") -> Dataset:
        """Open the dataset in a folder. Raises `Problem` when there is none."""
        return cls(Workspace.open(Path(path)).config)

    @classmethod
    def init(
        cls,
        path: PathLike,
        profile: str = DEFAULT_PROFILE,
        optional: Collection[str] = (),
        *,
        labs: Mapping[str, Mapping[str, str]] | None = None,
        about: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Make an empty dataset: ``neuropress.toml``, all tables with their headers, ``source/``, ``output/``.

        Parameters
        ----------
        profile
            One that is shipped, or ``<profile>.toml`` in the folder.
        optional
            Optional tables of the profile that the dataset shall have.
        labs
            Initials -> ``name``, ``institution``, ``timezone`` (``Europe/Berlin``) and what else holds for the
            lab's rows where no table says otherwise (``species``, ``region``).
        about
            ``title`` and ``license`` of its releases; either may be stated later.

        Raises
        ------
        Problem
            ``dataset.exists``: the folder is a dataset already; ``dataset.config``: no such profile or table, or a
            lab lacks an entry.
        """
        return cls(make_dataset(Path(path), profile, optional, labs, about).config)

    @property
    def config(self) -> Config:
        """What ``neuropress.toml`` says, with the profile loaded."""
        return self.workspace.config

    def targets(self, select: Selection = EVERYTHING) -> list[Wanted]:
        """Every result that the selected rows ask for."""
        return self.workspace.targets(select)

    def records(self, table: str) -> list[Record]:
        """The rows of a table that could be read, joined with their parents.

        Raises
        ------
        Problem
            ``dataset.table``: the profile has no such table.

        Examples
        --------
        >>> import neuropress
        >>> [mouse.key for mouse in neuropress.open("demo").records("mouse")]
        ['RY_M_0001']
        """
        known = self.config.profile.tables
        if table not in known:
            message = f"there is no table {table!r}{suggest_name(table, known)}; tables: {', '.join(known)}"
            raise problem("dataset.table", message, value=table)
        return list(self.workspace.tables.records.get(table, {}).values())

    def results(self, select: Selection = EVERYTHING) -> list[ResultPath]:
        """Paths of the selected results that exist; of those in a bucket, what has the same methods."""
        return self.workspace.results(select)

    def check(
        self,
        select: Selection = EVERYTHING,
        *,
        tables_only: bool = False,
        since: str | None = None,
        progress: Progress = no_progress,
    ) -> Report:
        """Check tables, keys, rules between tables, and cells against the raw files' headers.

        Errors that ``waivers.csv`` covers become warnings that name who answers for them.

        Parameters
        ----------
        tables_only
            Open no raw file; compare cells with ``facts.jsonl`` instead. Nothing is written then, not even to the log.
        since
            A git revision: findings that it had already only inform. Implies `tables_only`.

        Raises
        ------
        Problem
            ``since.revision`` or ``facts.unreadable``.
        """
        report = check_dataset(self._fresh(), select, tables_only=tables_only, since=since, progress=progress)
        return report if tables_only or since else self._log(report)

    def letter(self, lab: str, select: Selection = EVERYTHING, *, tables_only: bool = False) -> Letter:
        """What one lab should mend, to be forwarded; `lab` "-" is for what belongs to no lab."""
        return write_lab_letter(self._fresh(), lab, select, tables_only=tables_only)

    def propose_fixes(self, path: PathLike) -> Report:
        """Write what damaged cells say in their right spelling, as CSV that a person edits and signs.

        Raises
        ------
        Problem
            ``fixes.exists``: the file holds what a person wrote.
        """
        return propose_fixes(self._fresh(), Path(path))

    def apply_fixes(self, path: PathLike) -> Report:
        """Take the signed lines of a file of fixes over into the dataset; the tables stay as they are.

        Raises
        ------
        Problem
            ``fixes.none``: there is no such file.
        """
        return self._log(apply_fixes(self._fresh(), Path(path)))

    def facts(self) -> Report:
        """Write ``facts.jsonl``: what the raw files' headers say, to be committed beside the tables."""
        return self._log(write_facts(self._fresh()))

    def plan(self, select: Selection = EVERYTHING, *, outdated: bool = False, memory: int = 0) -> Report:
        """What `convert` would do; each outcome's facts hold the whole plan and an estimate of what it comes to.

        Parameters
        ----------
        outdated
            Plan also what an older mapping or converter revision made.
        memory
            Bytes that a process may need; what needs more is refused (``plan.memory``). 0: no bound.
        """
        return plan_dataset(self._fresh(), select, outdated=outdated, memory=memory)

    def convert(
        self,
        select: Selection = EVERYTHING,
        *,
        workers: int = 1,
        keep_going: bool = False,
        outdated: bool = False,
        part: str | None = None,
        dask: str = "",
        memory: int = 0,
        progress: Progress = no_progress,
    ) -> Report:
        """Convert what is new or changed. What is up to date is not touched.

        Parameters
        ----------
        workers
            Worker processes, which take whole sessions and share the units of volumes; a script that asks for
            more than one needs the usual ``if __name__ == "__main__":`` guard.
        keep_going
            Write sessions without their rows that have errors; the file says so inside.
        outdated
            Rebuild what an older mapping or converter revision made.
        part
            ``K/N``: be the K-th of N runs, anywhere, that together convert the dataset.
        dask
            Address of a Dask scheduler whose workers see the dataset under the same path; they do the work. Or
            ``"cluster"``: jobs as ``[cluster]`` of ``neuropress.toml`` says.
        memory
            As `plan` takes it.
        progress
            Called with uncompressed bytes as they are written.

        Examples
        --------
        >>> import neuropress
        >>> for outcome in neuropress.open("demo").convert().outcomes:
        ...     print(outcome)
        up to date         lichtman/20250701/sem_dataset/ome-zarr/JL_SD_0001.ome.zarr
        up to date         yuste/20250620/session/nwb/RY_S_0001.nwb
        """
        if part is not None:
            options = Options(keep_going, outdated, memory=memory)
            return self._log(convert_part(self._fresh(), RunPart.parse(part), select, options, progress))
        options = Options(keep_going, outdated, workers, dask=dask, memory=memory)
        return self._log(convert_dataset(self._fresh(), select, options, progress))

    def add(self, paths: Sequence[PathLike], occasion: Occasion) -> Report:
        """Copy raw files (or folders of slices) to their place and draft a row for each.

        Nothing is invented: what only a person knows stays blank, and the outcome names it.
        """
        return self._log(add_files(self.workspace, [Path(path) for path in paths], occasion))

    def verify(
        self,
        paths: Sequence[Named] = (),
        select: Selection = EVERYTHING,
        progress: Progress = no_progress,
        *,
        independent: bool = False,
    ) -> Report:
        """Prove results (all, or the given ones) against their raw files, element by element.

        Parameters
        ----------
        independent
            Have libraries that share no code with the readers read the raw files once more (extra ``independent``).
        """
        return self._log(verify_dataset(self._fresh(), paths, select, progress, independent=independent))

    def validate(
        self,
        paths: Sequence[Named] = (),
        select: Selection = EVERYTHING,
        progress: Progress = no_progress,
        *,
        dandi: bool = False,
    ) -> Report:
        """Validate results against their standards: pynwb, nwbinspector (default and DANDI), OME-NGFF.

        Parameters
        ----------
        dandi
            Have ``dandi validate`` read NWB results, too, from the environment of ``neuropress tools install dandi``.

        Raises
        ------
        Problem
            ``tool.*``: dandi cannot be used.
        """
        return self._log(validate_dataset(self._fresh(), paths, select, progress, dandi=dandi))

    def run(
        self,
        select: Selection = EVERYTHING,
        *,
        workers: int = 1,
        keep_going: bool = False,
        outdated: bool = False,
        progress: Progress = no_progress,
        step_done: Callable[[Report], object] = lambda report: None,
    ) -> Report:
        """Check, convert, verify and validate, in this order; the report's `steps` are theirs.

        Parameters
        ----------
        workers, keep_going, outdated, progress
            As `convert` takes them.
        step_done
            Called with the report of each step as it ends.

        Examples
        --------
        >>> import neuropress
        >>> report = neuropress.open("demo").run()
        >>> report.ok
        True
        >>> [step.verb for step in report.steps]
        ['check', 'convert', 'verify', 'validate']
        """
        return run_dataset(self._fresh(), select, Options(keep_going, outdated, workers), progress, step_done)

    def explain(self, path: Named, name: str | None = None) -> ExplainReport:
        """Which cell, rule and version made a value of a result; all values without `name`.

        Examples
        --------
        >>> import neuropress
        >>> dataset = neuropress.open("demo")
        >>> session = next(path for path in dataset.results() if path.suffix == ".nwb")
        >>> print(dataset.explain(session, "subject/weight"))  # doctest: +ELLIPSIS
        /general/subject/weight = '24.5 g'
          from table mouse, row RY_M_0001, column weight: '24.5'
          by rule session/subject.weight, transform quantity
        ...
        """
        return explain_file(path, name)

    def find_cell(self, cell: str) -> list[Place]:
        """Every place that a cell (``mouse.RY_M_0001.weight``) reached. Raises `Problem` for no cell."""
        return find_cell(self._fresh(), cell)

    def coverage(self) -> CoverageReport:
        """The matrix of all columns against where their cells went, and what was lost."""
        return cover_dataset(self._fresh())

    def export_tables(self, to: PathLike) -> Report:
        """Rebuild the tables as CSV from the results and ``records.jsonl`` alone, in canonical form."""
        from .verbs.export import export_source

        return export_source(str(self.config.root), Path(to))

    def publish(
        self,
        to: str,
        release: str,
        select: Selection = EVERYTHING,
        *,
        only: Collection[str] = (),
        endpoint: str | None = None,
        allow_errors: bool = False,
        accept_loss: Collection[str] = (),
        dry_run: bool = False,
        progress: Progress = no_progress,
    ) -> Report:
        """Publish raw files, tables and proven results as one immutable release.

        Results that were not verified or validated since they were written are so first. What is
        not selected is inherited from the release before; what is selected and absent is a loss.

        Parameters
        ----------
        to
            A folder or ``s3://bucket/prefix``.
        release
            The release's number, as ``1.0.0``; taken numbers are refused.
        select
            Labs and sessions that are published anew.
        only
            Kinds of data that are published anew: ``raw``, ``nwb``, ``ome-zarr``, ``asset``.
        allow_errors
            Publish in spite of errors in tables and of validators; the release tells them.
        accept_loss
            What may be lost: an asset, ``mouse``, ``mouse.RY_M_0001``, ``mouse.*.weight``.
        dry_run
            Say what would change; send nothing.
        """
        # What publishes takes a tenth of the start of every command, and few commands publish; `status` asks it, too.
        from .publishing import PublishRequest, Scope
        from .verbs.publish import publish_selection

        scope = Scope(kinds=tuple(only))
        order = PublishRequest(
            to, release, scope, endpoint, allow_errors=allow_errors, accepted=tuple(accept_loss), dry_run=dry_run
        )
        return self._log(publish_selection(self._fresh(), select, order, progress))

    def publish_to_dandi(
        self,
        dandiset: str,
        select: Selection = EVERYTHING,
        *,
        instance: str = "dandi",
        key: str = "",
        release: str = "",
        to: str = "",
        endpoint: str | None = None,
        only: Collection[str] = (),
        dry_run: bool = False,
        progress: Progress = no_progress,
    ) -> Report:
        """Bring proven NWB files and volumes to the draft of a dandiset; run again, it goes on where it was cut off.

        Parameters
        ----------
        dandiset
            Six digits.
        instance
            ``dandi``, ``dandi-sandbox``, ``ember-dandi``, or the address of an archive's interface.
        key
            Of an account at the archive. A dry run without one shows the tree and asks nobody.
        release, to, endpoint
            Send a committed release, and record there what lies where; without a number the working copy is sent.
        only
            Kinds of data: ``nwb``, ``ome-zarr``.
        dry_run
            Say what would be sent; send nothing.
        """
        from .publishing import Scope
        from .publishing.dandi import DandiRequest
        from .verbs.publish import publish_selection_to_dandi

        scope = Scope(kinds=tuple(only))
        order = DandiRequest(dandiset, instance, key, release, to, endpoint, scope, dry_run=dry_run)
        return self._log(publish_selection_to_dandi(self._fresh(), select, order, progress))

    def status(self, select: Selection = EVERYTHING) -> Report:
        """Per target: how it stands, whether it was verified, validated and released, and what stands in the way."""
        from .verbs.status import describe_status

        return describe_status(self._fresh(), select)

    def list_files(self) -> Report:
        """Raw files and path cells, both ways: files that no row names, that are missing, that nothing is made from."""
        return list_files(self._fresh())

    def _fresh(self) -> Workspace:
        """The workspace with nothing remembered: a person may have edited tables since the verb before."""
        return self.workspace.reload()

    def _log(self, report: Report) -> Report:
        return self.workspace.log(report)
