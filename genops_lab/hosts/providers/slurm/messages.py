"""Say in words why a job waits and why it ended."""

from __future__ import annotations

from .jobs import Job, clock

#: By Slurm's reason, or its beginning.
_REASONS = {
    "Resources": "No node has the requested resources free.",
    "Priority": "Jobs with a higher priority wait for the same resources.",
    "Dependency": "It waits for another job.",
    "BeginTime": "Its begin time is not reached yet.",
    "JobHeldUser": "You hold this job. To release it, run scontrol release on the login node.",
    "JobHeldAdmin": "An administrator holds this job.",
    "Licenses": "It waits for a license.",
    "Reservation": "Its reservation has not begun.",
    "ReservationDeleted": "Its reservation no longer exists. Change the target's reservation.",
    "InvalidAccount": "Its account is not valid. Change the target's account.",
    "InvalidQOS": "Its QOS is not valid. Change the target's QOS.",
    "PartitionDown": "The partition is down.",
    "PartitionInactive": "The partition accepts no new jobs at the moment.",
    "PartitionNodeLimit": "It requests more nodes than the partition allows.",
    "PartitionTimeLimit": "Its time limit is above the partition's. Lower the target's time limit.",
    "AccountNotAllowed": "The partition does not accept this account. Change the target's account or partition.",
    "BadConstraints": "No node can ever have what it requests. Change the target's resources or constraint.",
    "NodeDown": "A node that it needs is down.",
    "Prolog": "Its node is being prepared.",
    "None": "Slurm has not looked at it yet.",
    "": "Slurm has not looked at it yet.",
}
_BEGINNINGS = {
    "ReqNodeNotAvail": "A node that it needs is down, or reserved for maintenance.",
    "Nodes_required": "Nodes that it needs are down, or reserved.",
    "AssocGrp": "Your account has reached a limit of its group.",
    "AssocMax": "Your account has reached a limit for each user or job.",
    "AssociationJobLimit": "Your account has reached its number of jobs.",
    "AssociationResourceLimit": "Your account has reached a limit.",
    "QOSGrp": "The QOS has reached a limit of its group.",
    "QOSMax": "It would exceed a limit of the QOS for each user or job.",
    "QOSMin": "It requests less than the QOS demands.",
    "QOS": "The QOS has reached a limit.",
    "MaxJob": "You have reached a number of jobs.",
    "MaxMem": "It requests more memory than the partition allows for a core. Lower the target's memory.",
}
_ENDS = {
    "COMPLETED": "The job ended by itself.",
    "COMPLETING": "The job has ended.",
    "TIMEOUT": "The job reached its time limit. A longer one is a setting of the target.",
    "PREEMPTED": "Slurm gave the job's resources to one with a higher priority.",
    "NODE_FAIL": "The job's node failed.",
    "BOOT_FAIL": "The job's node did not start.",
    "OUT_OF_MEMORY": "The job used more memory than it requested. More memory is a setting of the target.",
    "DEADLINE": "The job reached its deadline.",
    "REVOKED": "Another cluster took the job.",
    "FAILED": "The job's script failed.",
}


def why_it_waits(job: Job) -> str:
    """Return why the job does not run, and its expected start."""
    if job.state in ("CONFIGURING", "RUNNING"):
        return "Its node is starting."
    if job.state == "SUSPENDED":
        return "Slurm has suspended it."
    said = _REASONS.get(job.reason)
    if said is None:
        said = next((text for each, text in _BEGINNINGS.items() if job.reason.startswith(each)), None)
        said = f"{said} Slurm calls this {job.reason}." if said else f"Slurm gives the reason {job.reason}."
    start = (
        f"Expected start: {clock(job.starts_at)}." if job.starts_at else "The expected start is not known."
    )
    return f"{said} {start}"


def notice_of(job: Job) -> str:
    """Return the announcement of a running job's end; empty without one."""
    return _ENDS["PREEMPTED"] if job.preempted_at else ""


def why_it_ended(job: Job, log: str = "") -> str:
    """Return why a job ended. ``log`` is the end of what its script printed."""
    if job.restarts:
        return "Slurm stopped the job and put it back into the queue, because of its node or a preemption."
    if job.state == "CANCELLED":
        who = f" by {job.cancelled_by}" if job.cancelled_by else ""
        return f"The job was cancelled{who}."
    said = _ENDS.get(job.state, f"The job ended as {job.state}.")
    return f"{said} Its last output: {log}" if log and job.state in ("FAILED", "COMPLETED") else said
