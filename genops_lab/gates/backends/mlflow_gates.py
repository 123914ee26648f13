"""Judge a version in the MLflow worker: read the evidence, judge, and keep the report with the version."""

from __future__ import annotations

import posixpath
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.evaluations.backends.judgings import team_store
from genops_lab.evaluations.predictions import FILE, Predictions, describe_ids, join, read
from genops_lab.evaluations.tags import SESSION, newest, version_tag
from genops_lab.experiments.backends.artifacts import MlflowArtifacts
from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.gates import messages
from genops_lab.gates.drift_rules import DriftEvidence, judge_drift
from genops_lab.gates.evidence import Evidence, verdict_of
from genops_lab.gates.facts_rules import FileEvidence, judge_files, public_key
from genops_lab.gates.git_file import hash_at_commit
from genops_lab.gates.judging import judge
from genops_lab.gates.looks import (
    LOOKS_TAG,
    VERDICT_TAG,
    Look,
    count,
    fingerprint,
    kept_looks,
    look_at,
    same_plan,
    tag_of,
)
from genops_lab.gates.models import Approver, CheckGates, GateReport, JudgedData, RuleVerdict
from genops_lab.gates.picture import picture
from genops_lab.gates.plan import Approval, Bound, Command, DataRule, Drift, Gates
from genops_lab.gates.plan_file import blob_hash, read_gates
from genops_lab.registry.backends.signatures import KEY_TAG, MlflowSignatures
from genops_lab.registry.signing import Signature
from genops_lab.version import __version__

from .look_ledger import LookLedger
from .mlflow_login import login
from .training_data import TrainingData

HASH_TAG = "genops.gates.hash"
SOURCE_TAG = "genops.source"
FOLDER = "gates"
MOST_RECORDED = 20


class KeptVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The tag ``genops.gates`` of a version. ``path``: the report among the artifacts of ``run``."""

    verdict: str
    file: str
    hash: str
    at: float
    run: str
    against: str
    path: str = ""
    headline: str = ""


class MlflowGates(MlflowSignatures):
    """Judges versions of one MLflow."""

    def __init__(self, tracking_uri: str, store_url: str = "", address: str = "", **others: Any) -> None:
        super().__init__(tracking_uri, **others)
        self._store, self._address = team_store(store_url), address
        self._artifacts = MlflowArtifacts(tracking_uri, **others)

    def judge(
        self, name: str, version: str, body: CheckGates, approvers: Sequence[Approver] = ()
    ) -> GateReport:
        """Judge a version by a gate file, and keep the report.

        ``approvers``: who approves, beside MLflow's own user. Raises GateFileError, NotFound, Unavailable.
        """
        plan = read_gates(body.text, body.file)
        if plan.model and plan.model != name:
            raise InvalidRequest(
                f"{body.file} is written for the model {plan.model!r}, not for {name!r}.",
                hint="Give the gate file of this model: --file FILE",
            )
        number = self.number(name, version)
        against = self._against(name, plan.against)
        with mlflow_errors(f"Cannot read version {number} of the model {name!r}"):
            training = TrainingData(self._client.tracking_uri, self._scratch)
            ledger = LookLedger(self._store, self._address, name) if self._store is not None else None
            return _Judging(
                self._client,
                self._artifacts,
                self._facts,
                training,
                self.verify,
                plan,
                body,
                approvers,
                ledger,
            ).report(name, number, against)

    def last_report(self, name: str, version: str) -> GateReport:
        """Return the last report on a version. Raises NotFound."""
        number = self.number(name, version)
        with mlflow_errors(f"Cannot read version {number} of the model {name!r}"):
            tags = self._client.get_model_version(name, number).tags
        kept = _kept(tags.get(VERDICT_TAG, ""))
        if kept is None or not kept.path:
            raise NotFound(
                f"No gate has judged version {number} of {name!r}, or its report was not kept.",
                hint=f"Judge it: genops gates check {shlex.quote(name)} --version {number}",
            )
        place = self._artifacts.locate(kept.run, kept.path)
        try:
            return msgspec.json.decode(Path(place.path).read_bytes(), type=GateReport)
        except msgspec.DecodeError as error:
            raise NotFound(
                f"The report {kept.path} of run {kept.run} cannot be read.", hint="Check the gates again."
            ) from error
        finally:
            if place.folder:
                shutil.rmtree(place.folder, ignore_errors=True)

    def _against(self, name: str, wanted: str) -> str:
        try:
            return self.number(name, wanted)
        except NotFound:
            return ""


def _kept(tag: str) -> KeptVerdict | None:
    try:
        return msgspec.json.decode(tag, type=KeptVerdict) if tag else None
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


class _Judging:
    """One verdict."""

    def __init__(
        self,
        client: Any,
        files: MlflowArtifacts,
        facts: Any,
        training: TrainingData,
        verify: Callable[[str, str, dict[str, str], list[str]], Signature],
        plan: Gates,
        body: CheckGates,
        approvers: Sequence[Approver],
        ledger: LookLedger | None,
    ) -> None:
        self._client, self._files, self._facts, self._training = client, files, facts, training
        self._verify, self._plan, self._body, self._approvers = verify, plan, body, approvers
        self._ledger = ledger
        self._hash = blob_hash(body.text.encode())
        self._notes: list[str] = []
        self._data: dict[str, JudgedData] = {}
        self._runs: dict[str, Any] = {}

    def report(self, name: str, version: str, against: str) -> GateReport:
        """Read the evidence, judge and keep the report."""
        plan, body = self._plan, self._body
        self._name, self._version = name, version
        self._other = "" if against == version else against
        self._nobody = (
            f"version {version} would be compared with itself ({plan.against})"
            if against == version
            else f"the model has no {plan.against!r} to compare with"
        )
        self._mine = self._client.get_model_version(name, version)
        self._theirs = self._client.get_model_version(name, self._other) if self._other else None
        run = self._run(self._mine.run_id)
        before, why = self._hash_before(run)
        evidence = {
            data: self._evidence(data)
            for data in dict.fromkeys(
                rule.data or plan.data for rule in plan.rules if isinstance(rule, DataRule)
            )
        }
        files = self._file_evidence(run)
        rules = [
            judge(rule, evidence[rule.data or plan.data])
            if isinstance(rule, DataRule)
            else judge_drift(rule, self._drift_evidence(rule))
            if isinstance(rule, Drift)
            else judge_files(rule, files)
            for rule in plan.rules
        ]
        rules += self._about_the_file(before, why) + self._only_on_choosing_data(rules)
        verdict = messages.worst([rule.verdict for rule in rules])
        at = time.time()
        made = GateReport(
            model=name, version=version, verdict=verdict,
            headline=messages.headline(verdict, rules, self._other), rules=rules, against=self._other,
            alias=plan.against, file=body.file, hash=self._hash, hash_before=before, commit=body.commit,
            notes=self._notes, data=[each for each in self._data.values() if each.run], looks=plan.looks,
            at=round(at, 3), program=__version__,
        )  # fmt: skip
        with mlflow_errors(f"Cannot keep the report on version {version} of the model {name!r}"):
            made = self._demand_signature(made)
            return self._keep(made, run)

    def _demand_signature(self, made: GateReport) -> GateReport:
        """Keep with the version the key that the file demands of deployments; a file without a demand ends it."""
        name, demanded = self._plan.deploy.signed, self._mine.tags.get(KEY_TAG, "")
        if not name:
            if demanded:
                self._client.delete_model_version_tag(self._name, self._version, KEY_TAG)
            return made
        if not self._body.folder:
            note = f"Deployments do not demand the signature yet: {name} is not known here. Use: genops gates check"
            return replace(made, notes=[*made.notes, note])
        key = public_key(Path(self._body.folder), name)
        self._client.set_model_version_tag(self._name, self._version, KEY_TAG, key.read_text())
        return replace(made, notes=[*made.notes, f"Deployments demand a signature with {name}."])

    def _drift_evidence(self, rule: Drift) -> DriftEvidence:
        data = rule.data or self._plan.data
        judged = self._data.get(data)
        return self._training.compared(
            self._run(self._mine.run_id),
            self._run(self._theirs.run_id) if self._theirs is not None else None,
            self._nobody if self._theirs is None else f"version {self._other} has no run",
            "" if rule.against == "champion" else f"{judged.name}@{judged.digest}" if judged else data,
        )

    def _run(self, run_id: str | None) -> Any:
        """Return a run; None if the version has none, or if it was deleted for good."""
        from mlflow.exceptions import MlflowException

        if not run_id:
            return None
        if run_id not in self._runs:
            try:
                self._runs[run_id] = self._client.get_run(run_id)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
                    raise
                self._runs[run_id] = None
        return self._runs[run_id]

    def _hash_before(self, run: Any) -> tuple[str, str]:
        """Return the hash of the gate file at the start of the version's run, or the reason why it is unknown."""
        if run is None:
            return "", "the version has no run"
        tags = run.data.tags
        if tags.get(HASH_TAG):
            return tags[HASH_TAG], ""
        commit = tags.get("mlflow.source.git.commit", "")
        if not commit:
            return "", "the run recorded neither the hash nor a commit"
        if not self._body.folder:
            return "", "the run recorded no hash"
        return hash_at_commit(Path(self._body.folder) / posixpath.basename(self._body.file), commit)

    def _about_the_file(self, before: str, why: str) -> list[RuleVerdict]:
        file = posixpath.basename(self._body.file)
        if before == self._hash:
            self._notes.append(f"{file} is the same as when the run began.")
            return []
        if not before and self._plan.fixed_before == "compared":
            self._notes.append(f"Whether {file} was fixed before the run is unknown: {why}.")
            return []
        if not before:
            verdict = verdict_of(
                "cannot_be_checked", f"whether {file} was fixed before the run is unknown: {why}"
            )
        else:
            verdict = verdict_of(
                "fail", f"{file} changed after the run began",
                f"Its hash was {before[:12]} and is {self._hash[:12]}. Train again with the new file.",
            )  # fmt: skip
        return [replace(verdict, name="fixed before", rule="fixed-before")]

    def _only_on_choosing_data(self, rules: list[RuleVerdict]) -> list[RuleVerdict]:
        """A pass on the data that chose the version is too good by luck: another data set must pass too."""
        passed = [rule for rule in rules if rule.verdict == "pass" and rule.data]
        chosen = [rule for rule in passed if rule.chosen_by]
        if not chosen or len(chosen) < len(passed):
            self._notes += dict.fromkeys(
                f"{rule.data} also chose this version: {rule.chosen_by}." for rule in chosen
            )
            return []
        return [
            replace(
                verdict_of(
                    "cannot_be_checked",
                    f"{chosen[0].data} also chose this version ({chosen[0].chosen_by}), and cannot judge it alone",
                    "Evaluate the version on other data, and add a rule for that data.",
                ),
                name="other data", rule="other-data",
            )
        ]  # fmt: skip

    def _evidence(self, data: str) -> Evidence:
        """Return the predictions of both versions on a data set, or why there are none."""
        plan, name = self._plan, data.partition("@")[0]
        evaluate = f"Evaluate it: genops models evaluate {shlex.quote(self._name)} --version"
        common: dict[str, Any] = {
            "name": name, "positive": plan.positive, "against": self._other, "looks": plan.looks,
            "problem_against": self._nobody,
            "hint_against": f"Point the alias at a version: genops models alias {shlex.quote(self._name)} "
            f"{shlex.quote(plan.against)} VERSION" if not self._other else "",
        }  # fmt: skip
        mine, theirs = _evaluations(self._mine, name), _evaluations(self._theirs, name)
        digest = self._digest(data, mine, theirs)
        if digest not in mine:
            have = f"; it has one on {name}@{next(iter(mine))[:12]}" if mine else ""
            return Evidence(
                **common, problem=f"version {self._version} has no evaluation on {data}{have}",
                hint=f"{evaluate} {self._version} --data {shlex.quote(data)}",
            )  # fmt: skip
        run = self._run(mine[digest])
        try:
            candidate = self._predictions(mine[digest], digest, run)
        except (NotFound, InvalidRequest) as error:  # gone or damaged; an MLflow that is away is no verdict
            return Evidence(**common, problem=_clause(error), hint=error.hint)
        judged = JudgedData(name=name, digest=digest, run=mine[digest], rows=len(candidate))
        more: dict[str, Any] = {"candidate": candidate, "recorded": self._recorded(run)}
        if self._other and digest in theirs:
            judged = replace(judged, against_run=theirs[digest])
            more |= self._champion(candidate, theirs[digest], digest, run)
        elif self._other:
            have = (
                f"; it has one on {name}@{next(iter(theirs))[:12]}, which has other content" if theirs else ""
            )
            more |= {
                "problem_against": f"version {self._other} has no evaluation on {name}@{digest[:12]}{have}",
                "hint_against": f"{evaluate} {self._other} --data {shlex.quote(f'{name}@{digest}')}",
            }
        look, before = self._look(name, more["candidate"], more.get("champion"))
        self._data[data] = replace(judged, look=look)
        if look > plan.looks:
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(before.at)) if before else ""
            return Evidence(
                **common,
                problem=f"{name} judged this pair before ({when}), and the file plans {plan.looks} "
                f"look{'s' if plan.looks > 1 else ''}",
                hint="A second look is a second chance. Plan it before you train (looks: 2), or use new data.",
            )
        return Evidence(**{**common, **more}, look=look, chosen_by=self._chosen_by(name, digest))

    def _digest(self, data: str, mine: dict[str, str], theirs: dict[str, str]) -> str:
        """Return the digest that is meant: the given one, else the newest that both versions have."""
        given = data.partition("@")[2]
        if given:
            return next((each for each in mine if each.startswith(given)), given)
        both = [each for each in mine if each in theirs] or list(mine)
        return max(both, key=lambda each: self._began(mine[each]), default="")

    def _began(self, run_id: str) -> int:
        run = self._run(run_id)
        return int(run.info.start_time or 0) if run is not None else 0

    def _predictions(self, run_id: str, digest: str, run: Any) -> Predictions:
        if run is None:
            raise NotFound(f"The evaluation run {run_id} was deleted.", hint="Evaluate the version again.")
        place = self._files.locate(run_id, FILE)
        try:
            found = read(place.path)
        finally:
            if place.folder:
                shutil.rmtree(place.folder, ignore_errors=True)
        kept = str(found.about.get("digest", digest))
        if kept != digest:
            raise NotFound(
                f"The predictions of run {run_id} are from other data ({kept[:12]}, not {digest[:12]}).",
                hint="Evaluate the version again.",
            )
        return found

    def _champion(self, candidate: Predictions, run_id: str, digest: str, mine: Any) -> dict[str, Any]:
        """Return the other version's predictions on the same rows, or the problem."""
        run = self._run(run_id)
        try:
            joined = join(candidate, self._predictions(run_id, digest, run))
        except (NotFound, InvalidRequest) as error:
            return {"problem_against": _clause(error), "hint_against": error.hint}
        for ids, whose in ((joined.only_one, self._other), (joined.only_other, self._version)):
            if ids:
                return {
                    "problem_against": f"version {whose} has no predictions for {describe_ids(ids)}",
                    "hint_against": "Evaluate both versions again on the same data.",
                }
        session = run.data.tags.get(SESSION, "")
        together = bool(session) and session == mine.data.tags.get(SESSION)
        return {"candidate": joined.one, "champion": joined.other, "together": together}

    def _recorded(self, run: Any) -> dict[str, list[float]]:
        """Return the recorded values of the metrics that rules name and that are not computed."""
        wanted = [
            rule.metric
            for rule in self._plan.rules
            if isinstance(rule, Bound) and rule.metric in run.data.metrics
        ]
        return {
            metric: [each.value for each in self._client.get_metric_history(run.info.run_id, metric)]
            for metric in wanted[:MOST_RECORDED]
        }

    def _look(self, data: str, mine: Predictions, theirs: Predictions | None) -> tuple[int, Look | None]:
        """Count a look before its verdict is known, so that it counts whatever happens then."""
        look = look_at(self._hash, data, self._other, fingerprint(mine), fingerprint(theirs), time.time())
        version = self._client.get_model_version(self._name, self._version)
        before = kept_looks(version.tags.get(LOOKS_TAG, ""))
        if self._ledger is None:
            number, last, looks = count(before, look)
        else:
            made = int(version.creation_timestamp or 0)
            number, last, at_plan = self._ledger.claim(self._version, made, look, before, self._plan.looks)
            looks = [*(each for each in before if not same_plan(each, look)), *at_plan]
        if looks != before and number <= self._plan.looks:
            self._client.set_model_version_tag(self._name, self._version, LOOKS_TAG, tag_of(looks))
        return number, last

    def _chosen_by(self, name: str, digest: str) -> str:
        """Return how a data set chose this version, from the tag of its origin; empty if it did not."""
        try:
            origin = msgspec.json.decode(self._mine.tags.get(SOURCE_TAG, "{}"))
            chosen = origin.get("chosen_by") or {}
            data, runs = str(chosen.get("data", "")), int(chosen.get("runs", 0))
        except (msgspec.DecodeError, UnicodeEncodeError, AttributeError, TypeError, ValueError):
            return ""
        given, _, content = data.partition("@")
        if runs < 2 or given != name or (content and not digest.startswith(content)):
            return ""
        return f"the best {chosen.get('metric', 'metric')} of {runs:,} runs"

    def _file_evidence(self, run: Any) -> FileEvidence:
        plan, body = self._plan, self._body
        found = FileEvidence(
            author=str(run.data.tags.get("mlflow.user", "")) if run is not None else "",
            approvers=self._who(), commands=list(body.commands), problem_against=self._nobody,
            keys=Path(body.folder) if body.folder else None,
            verify=lambda key: self._verify(self._name, self._version, {key.name: key.read_text()}, []),
        )  # fmt: skip
        if not any(not isinstance(rule, (DataRule, Command, Approval, Drift)) for rule in plan.rules):
            return found
        try:
            found.facts = self._facts.read(self._name, self._version)
        except (NotFound, InvalidRequest, Failed, OSError) as error:
            found.problem = f"the files of version {self._version} cannot be read"
            self._notes.append(str(error))
        if self._other:
            try:
                found.against_facts = self._facts.read(self._name, self._other)
            except (NotFound, InvalidRequest, Failed, OSError) as error:
                found.problem_against = f"the files of version {self._other} cannot be read"
                self._notes.append(str(error))
        return found

    def _who(self) -> list[Approver]:
        if not any(isinstance(rule, Approval) for rule in self._plan.rules):
            return []
        return [*self._approvers, *login(self._client)]

    def _keep(self, made: GateReport, run: Any) -> GateReport:
        """Write the report beside the predictions (else into the version's run), then the verdict to the version."""
        place = next((each.run for each in made.data), "")
        if not place and run is not None and run.info.lifecycle_stage == "active":
            place = run.info.run_id
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(made.at))
        path = f"{FOLDER}/{moment}-{self._hash[:8]}.json" if place else ""
        made = replace(made, run=place)
        if place:
            # The words first: the tag names a report that is there.
            stem = path.removesuffix(".json")
            self._client.log_text(place, messages.markdown(made), f"{stem}.md")
            if drawn := picture(made):
                self._client.log_text(place, drawn, f"{stem}.svg")
            self._client.log_text(
                place, msgspec.json.format(msgspec.json.encode(made), indent=1).decode(), path
            )
        else:
            made = replace(made, notes=[*made.notes, "No run keeps this report."])
        kept = KeptVerdict(
            verdict=made.verdict, file=made.file[:300], hash=made.hash, at=made.at, run=place, against=made.against,
            path=path, headline=made.headline[:600],
        )  # fmt: skip
        self._client.set_model_version_tag(
            self._name, self._version, VERDICT_TAG, msgspec.json.encode(kept).decode()
        )
        return made


def _clause(error: GenOpsError) -> str:
    return error.message[:1].lower() + error.message[1:].rstrip(".")


def _evaluations(version: Any, name: str) -> dict[str, str]:
    """Return the evaluation runs of a version on a data set, by digest."""
    if version is None:
        return {}
    tags = version.tags
    return {digest: run for (_, digest), run in newest(tags).items() if version_tag(name, digest) in tags}
