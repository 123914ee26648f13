"""Names that outlive a version: in notebooks, MLflow, stores, running kernels, hosts, scripts and configurations.

Whoever changes one breaks what its group says. A new one is added here, and stays from then on.
"""

from __future__ import annotations

from typing import NamedTuple


class Names(NamedTuple):
    """``breaks``: what happens to whom where one of them changes."""

    breaks: str
    names: frozenset[str]


def _words(breaks: str, text: str) -> Names:
    return Names(breaks, frozenset(text.split()))


def _lines(breaks: str, text: str) -> Names:
    """One a line; a line that is indented goes on with the one before."""
    return Names(breaks, frozenset(text.strip().replace("\n    ", " ").splitlines()))


#: Tags of runs and model versions in MLflow, which may be years old.
TAGS = _words(
    "Runs of before lose their target, sweep, repeats or mark; filters that people saved find nothing.",
    """
genops.diverged genops.extremes genops.failure genops.idempotency_key genops.kernel genops.notes genops.pruned
genops.rollout
genops.gates genops.gates.hash genops.gates.looks genops.source
genops.evaluation.data genops.evaluation.digest genops.evaluation.file genops.evaluation.how genops.evaluation.model
genops.evaluation.place genops.evaluation.session genops.evaluation.version
genops.evaluation genops.optimization
genops.answers.evaluation genops.answers.example genops.answers.model genops.answers.repeat genops.online
genops.import genops.manifest
genops.repeat genops.run_key genops.superseded_by_sweep genops.sweep genops.target genops.trial genops.trial_attempt
genops.caller genops.caller_span genops.caller_trace genops.cut genops.deployment genops.request_id genops.revision
genops.time_to_first_token_s
genops.base_model genops.card genops.parent genops.signature genops.signature.key
genops.cell genops.notebook
""",
)

#: Media types of outputs in saved notebooks.
MIME_TYPES = _words(
    "Cards and cut outputs of saved notebooks are no longer drawn.",
    """
application/vnd.genops.card+json application/vnd.genops.output-excerpt+json
""",
)

#: Ids of plugins (which people disable) and settings, and keys of JupyterLab's state database and the browser's
#: storages.
PLUGINS_AND_STATES = _words(
    "A plugin that was disabled is on again; what the state database has is forgotten.",
    """
genops-lab:cards genops-lab:charts genops-lab:client genops-lab:comparison genops-lab:compute genops-lab:core
genops-lab:deployments genops-lab:doctor genops-lab:experiments genops-lab:genai genops-lab:kernel genops-lab:models
genops-lab:notebook genops-lab:notices
genops-lab:nsight genops-lab:outputs genops-lab:panel genops-lab:profile-timeline genops-lab:profile-views
genops-lab:profiles genops-lab:prompt-drafts
genops-lab:quickstart genops-lab:rater genops-lab:runs genops-lab:runs-state genops-lab:started
genops-lab:sweeps
genops-lab:targets genops-lab:tasks
genops-lab:traces genops-lab:traces-dataset
genops-lab:versions
""",
)

#: Keys of JupyterLab's settings and of what they hold, by their schema.
SETTINGS = _lines(
    "Settings and saved views of people are lost, or refused as unknown.",
    """
genops-lab:nsight
genops-lab:panel
genops-lab:panel liveUpdates
genops-lab:panel openOnStart
genops-lab:panel statusBar
genops-lab:profiles
genops-lab:runs
genops-lab:runs #view.charts
genops-lab:runs #view.columns
genops-lab:runs #view.experiments
genops-lab:runs #view.groups
genops-lab:runs #view.lifecycle
genops-lab:runs #view.name
genops-lab:runs #view.query
genops-lab:runs #view.sort
genops-lab:runs views
genops-lab:targets
genops-lab:targets toolbar Notebook genopsTarget
""",
)

#: Sections of the panel in the state database.
SECTIONS = _words(
    "Sections that were closed are open again.",
    """
activity compute deployments experiments genai models notebook
""",
)

#: Ids and namespaces of widgets in the layouts of workspaces; file types and factories in the settings of the
#: document manager.
WIDGETS = _words(
    "Tabs are not restored; a chosen viewer of a file type is forgotten.",
    """
genops-charts genops-comparison genops-comparison- genops-diagnosis genops-endpoints
genops-full-output genops-full-output-
genops-kernel-log- genops-lab-panel genops-lab-section- genops-memory-snapshot genops-ncu-report genops-nsys-export
genops-packed-json genops-perfetto genops-perfetto- genops-profile genops-profile- genops-profile-difference
genops-alias-history genops-alias-history- genops-lineage genops-lineage- genops-model-card
genops-alias-history- genops-model-card-
genops-profile-file genops-profiles genops-profiles- genops-runs genops-sweep genops-sweep- genops-sweeps
genops-files- genops-versions genops-traces
genops-task- genops-timeline genops-timeline- genops-trace genops-try genops-try-
genops-prompts genops-evaluations genops-labels
""",
)

#: Commands and icons of JupyterLab: keyboard shortcuts, toolbars and menus of people name them.
COMMAND_IDS = _words(
    "A shortcut or a toolbar's button that somebody made does nothing.",
    """
genops:activity genops:add-target genops:alias genops:attach-remote-kernel genops:cancel-task genops:change-target
genops:choose-target genops:clean-target genops:compare-profiles genops:compare-runs genops:compute
genops:connect-target genops:copy-run-id genops:copy-run-link genops:delete-deployment genops:delete-model
genops:delete-profile genops:evaluate-file genops:evaluate-model genops:new-evaluation genops:apply-deployment-file
genops:deploy-model genops:deployment genops:diagnose genops:disconnect-target genops:doctor genops:experiment
genops:genai genops:open-endpoints genops:open-evaluations genops:open-labels genops:open-prompts genops:open-traces
genops:traces
genops:hide-section genops:insert-profile-cell genops:insert-run-code genops:insert-track genops:logo genops:model
genops:new-notebook-on-target genops:open-alias-history
genops:lineage genops:open-lineage
genops:browse-files genops:open-port genops:open-terminal
genops:open-versions
genops:new-notebook-on-target genops:open-alias-history genops:open-model-card
genops:open-charts genops:open-compute genops:open-experiments genops:open-full-output
genops:open-linked-run genops:open-mlflow genops:open-panel genops:open-profile genops:open-profiles
genops:open-quickstart genops:open-runs genops:open-sweep genops:open-sweeps
genops:profile genops:profile-perfetto genops:profile-timeline genops:pull-folder
genops:register-model genops:release-host genops:remove-model-alias genops:remove-target
genops:renew-deployment genops:reset-panel
genops:restart-with-nsight genops:restart-with-nsight-compute genops:restart-without-nsight genops:restore-notebook
genops:set-model-alias genops:show-remote-kernel-log genops:show-task-log genops:stop-deployment
genops:stop-remote-kernel genops:sweep genops:target-request genops:test-target genops:this-notebook
genops:toggle-line-times genops:toggle-section genops:try-deployment
""",
)

#: Magics, in notebooks.
MAGICS = _lines(
    "A cell of a notebook that worked stops.",
    """
cell evaluate
cell genops_repeat
cell profile
cell prompt
cell sweep
cell track
line genops
line genops_open
line profile
line track
""",
)

#: What `import genops` offers, in notebooks and scripts.
API = _words(
    "A notebook or script that worked stops.",
    """
GenOpsError Run chat dataset deployment end evaluate feedback log log_file log_histogram log_image log_predictions
log_table log_text params predict profile prompts run start tag
""",
)

#: A run's events on disk, of kernels of before and of processes that are gone: kinds and what they hold.
SPOOL = _lines(
    "What a kernel of before logs is refused or lost.",
    """
end status
event data
event kind
event seq
event timestamp
file path
file source
media columns
media content
media counts
media data
media high
media index
media infinite
media low
media name
media nan
media series
media step
media type
metrics step
metrics timestamp
metrics values
params *
process
process.created
process.kernel_id
process.notebook
process.pid
run_key
spool/RUN.jsonl
start experiment
start name
start params
start script
start tags
tags *
text content
text path
""",
)

#: Artifacts of runs in MLflow.
ARTIFACTS = _words(
    "What older runs keep is no longer found: notebooks are not restored, media and profiles not shown.",
    """
a~b+step+3+timestamp+1500+UUID histograms/ images/ output/stderr.txt output/stdout.txt profiles/ source/cells.json
source/installed.txt source/notebook.py source/record.json source/resumed-TIME/record.json source/uncommitted.patch
tables/
""",
)

#: What kernels that run ask of the Lab, below /genops: those of an older version go on asking it, so these paths
#: stay without a version.
KERNEL_PATHS = _words(
    "Kernels and scripts that run since before the upgrade cannot log, profile or sweep.",
    """
/deployments/ /folder/pull /folder/pull/ /profiles /profiles/ /profiles/beside /profiles/expected /sweeps /sweeps/
/sweeps/summary /tracking/events /tracking/files /tracking/files/ /tracking/kernel /tracking/models /tracking/resume
/tracking/wake /v1/deployments/ /v1/evaluations/predictions /v1/prompts/ /v1/answer-evaluations
/v1/answer-evaluations/ /v1/answer-evaluations/plan /v1/deployment-feedback /v1/tasks/
/v1/kernel-evaluations /v1/kernel-evaluations/
""",
)

#: The same from hosts, where a kernel outlives the Lab that started it.
KERNEL_OPERATIONS = _lines(
    "Kernels on hosts that run since before the upgrade cannot log or profile.",
    """
GET /folder/pull/{request_id}
GET /kernel-evaluations/{id}
GET /profiles/{profile_id}
GET /prompts/{name}/versions/{version}
POST /evaluations/predictions
POST /folder/pull
POST /kernel-evaluations
POST /kernel-evaluations/{id}/cancel
POST /profiles
POST /profiles/beside
POST /tracking/events
POST /tracking/files
POST /tracking/resume
POST /tracking/wake
""",
)

#: What the agent of one version asks and sends to the keeper, the Lab or the kernel of another.
AGENT = _lines(
    "Kernels on hosts that run since before the upgrade cannot be attached.",
    """
ACK 3
ANSWER 33
BUSY 9
CALL 32
CONTROL 1
CREDIT 5
DATA 2
EOF 3
GONE 7
HELLO 1
IOPUB 3
MESSAGE 2
NOTE 4
OPEN 1
PING 6
PONG 7
RECORD 5
REQUEST 5
RESET 4
SEEN 6
SHELL 0
STDERR 7
STDIN 2
STDOUT 6
TAKEN 8
WELCOME 4
call builds.cancel
call commands.forget
call commands.info
call commands.lease
call commands.list
call commands.signal
call commands.start
call commands.stop
call deployments
call files
call folders.marker
call kernels.forget
call kernels.info
call kernels.keep
call kernels.lease
call kernels.list
call kernels.log
call kernels.policy
call kernels.signal
call kernels.start
call kernels.stop
call kernels.warm
call lab.sync
call ports.check
call ports.list
call probe
call readings
call storage.list
call storage.measure
call storage.remove
call storage.sweep
call traces.remove
call units.list
header !BII
header !BQI
service build
service call
service command
service deployment
service deployment-log
service deployments
service engine
service evaluation
service file
service folder
service gateway
service kernel
service port
service program
service terminal
""",
)

#: Folders on hosts, below the home.
HOST_FOLDERS = _words(
    "Kernels and environments on hosts are no longer found, and nobody removes them.",
    """
.local/share/genops-lab/envs .local/state/genops-lab .local/state/genops-lab/commands/COMMAND
.local/state/genops-lab/kernels/KERNEL
.local/state/genops-lab/lab/KERNEL
""",
)

#: Variables in running kernels, in the configurations of users and operators.
ENVIRONMENT = _words(
    "A kernel that runs no longer finds its Lab; a configuration has no effect.",
    """
GENOPS_AGENT_DIR GENOPS_AGENT_STATE GENOPS_ASKPASS GENOPS_CLI GENOPS_COMMAND GENOPS_CPUS GENOPS_DATA_DIR
GENOPS_DEPLOYMENT_KEY GENOPS_ENDPOINTS
GENOPS_DEBUG GENOPS_ENDED_BECAUSE GENOPS_GPUS GENOPS_GPU_TYPE GENOPS_KERNELSPEC GENOPS_KERNEL_ID GENOPS_MEMORY_BYTES
GENOPS_NATIVE GENOPS_NCU_FOLDER GENOPS_NCU_SET GENOPS_NOTEBOOK GENOPS_NO_SOURCE GENOPS_NSYS
GENOPS_MODEL GENOPS_VERSION
GENOPS_NSYS_SESSION GENOPS_OUTPUT GENOPS_REMOTE GENOPS_RUNTIME_DIR GENOPS_SOCKET GENOPS_TIME_S GENOPS_TRIAL
GENOPS_WORKER_CONFIG
GENOPS_KEY_PASSWORD
GENOPS_REDACT_TRACES
GENOPS_SERVICE_ACCOUNT
""",
)

#: What Jupyter, kernelspecs and shells find GenOps Lab by.
ENTRY_POINTS = _lines(
    "Kernelspecs of targets do not start; the extension is not loaded.",
    """
ServerApp jpserver_extensions genops_lab
console_scripts genops
jupyter_client.kernel_provisioners genops-local-provisioner
jupyter_client.kernel_provisioners genops-target-provisioner
labextension genops-lab
""",
)

#: Configuration of operators (`c.GenOpsLab...`) and of kernelspecs.
CONFIGURATION = _lines(
    "An operator's setting has no effect; a kernelspec does not start.",
    """
GenOpsLab: allow_user_targets cell_output_mb cell_outputs data_dir deployment_certificate deployment_certificate_key
    deployment_https deployment_lease_hours deployment_warm_hours endpoints keep_local_kernels locked
    max_price_per_hour mlflow_uri outputs_left_to_page_s redact_traces rooms signature_required store_url
    target_fields target_presets targets trusted_keys
GenOpsLocalProvisioner:
GenOpsTargetProvisioner: cwd lease_s target
""",
)

#: Tables of the two stores. An older store goes on: a change is a migration.
TABLES = _lines(
    "An older store is not read any more, or a downgrade fails.",
    """
alembic_version.version_num
deployments.created_at
deployments.generation
deployments.hint
deployments.lease_until
deployments.message
deployments.model
deployments.name
deployments.revision
deployments.spec
deployments.state
deployments.target
deployments.version
former_stores.digest
former_stores.state
genops_alembic_version.version_num
genops_alias_moves.alias
genops_alias_moves.at
genops_alias_moves.evidence
genops_alias_moves.from_version
genops_alias_moves.holder
genops_alias_moves.id
genops_alias_moves.kind
genops_alias_moves.made
genops_alias_moves.model
genops_alias_moves.owner
genops_alias_moves.reason
genops_alias_moves.registry
genops_alias_moves.since
genops_alias_moves.state
genops_alias_moves.tagged
genops_alias_moves.team
genops_alias_moves.to_version
genops_alias_moves.who
genops_aliases.alias
genops_aliases.last
genops_aliases.made
genops_aliases.moving
genops_aliases.owner
genops_aliases.registry
genops_aliases.seen_at
genops_aliases.team
genops_aliases.version
genops_audit.action
genops_audit.at
genops_audit.detail
genops_audit.id
genops_audit.operation
genops_audit.outcome
genops_audit.owner
genops_audit.principal
genops_audit.resource
genops_audit.team
genops_deployment_specs.created_at
genops_deployment_specs.model
genops_deployment_specs.name
genops_deployment_specs.owner
genops_deployment_specs.spec
genops_deployment_specs.team
genops_deployment_specs.version
genops_idempotency.created_at
genops_idempotency.key
genops_idempotency.operation
genops_idempotency.owner
genops_idempotency.subject
genops_idempotency.team
genops_judgings.at
genops_judgings.digest
genops_judgings.model
genops_judgings.owner
genops_judgings.registry
genops_judgings.team
genops_judgings.version
genops_looks.against
genops_looks.at
genops_looks.data
genops_looks.made
genops_looks.mine
genops_looks.number
genops_looks.owner
genops_looks.plan
genops_looks.registry
genops_looks.team
genops_looks.theirs
genops_looks.version
genops_revisions.kind
genops_revisions.revision
host_traces.deleted_at
host_traces.path
host_traces.profile_id
host_traces.target
idempotency.created_at
idempotency.key
idempotency.operation
idempotency.subject
model_hashes.digest
model_hashes.name
model_hashes.recorded_at
model_hashes.run_id
outbox.action
outbox.content
outbox.number
outbox.posted_at
outbox.table_name
profiles.artifact
profiles.created_at
profiles.id
profiles.message
profiles.notebook
profiles.run_id
profiles.size_bytes
profiles.state
profiles.summary
profiles.title
profiles.trace_path
remote_kernels.chosen
remote_kernels.documented_seq
remote_kernels.file_hash
remote_kernels.incarnation
remote_kernels.kernel_id
remote_kernels.kernel_name
remote_kernels.owner
remote_kernels.path
remote_kernels.session_id
remote_kernels.started_at
remote_kernels.target
remote_kernels.type
revisions.kind
revisions.revision
sweep_trials.number
sweep_trials.state
sweep_trials.sweep_id
sweep_trials.trial
sweeps.created_at
sweeps.ended_at
sweeps.hint
sweeps.id
sweeps.message
sweeps.plan
sweeps.state
sweeps.summary
targets.created_at
targets.host
targets.kind
targets.locked
targets.name
targets.options
targets.policy
targets.position
targets.price_per_hour
targets.secrets
tracked_runs.acked_seq
tracked_runs.experiment_id
tracked_runs.kernel_id
tracked_runs.name
tracked_runs.notebook
tracked_runs.pid
tracked_runs.pid_created
tracked_runs.place
tracked_runs.run_id
tracked_runs.run_key
tracked_runs.started_at
tracked_runs.state
work.cancel
work.client
work.created_at
work.data
work.ended_at
work.hint
work.holder
work.id
work.kind
work.lines
work.message
work.plan
work.progress
work.renewals
work.state
work.step
work.subject
work.title
work.token
""",
)

#: Keys of the JSON in the store, in files and in outputs; what is in braces is below them.
JSON = _lines(
    "What was written before is refused or loses a value.",
    """
deployments.spec: allow_pickle described{at file folder text} gpus https{address carried certificate digest key}
    keys{created_at limit name sha256 tokens} lease_s
    memory_bytes note revisions{allow_pickle commit created_at digest environment given{adapter command health path port
    secret settings} id model number scorer secrets serving sleep_s version} scale{concurrency max min}
    scored{currency digest file id labels money_per_day sample} traces{experiment sample} update warm_s
deployments/NAME/deployment.json: generation
deployments/NAME/process.json: begun generation number outlives_server pid pid_created revision version wanted
deployments/NAME/route.json: generation keys{created_at limit name sha256 tokens} name revisions{id key number port
    weight} scale timeout_s
deployments/NAME/state.json: asleep errors hint latency_ms lease_until loading_s message pid port requests state
display of cut outputs: bytes displays kernel_id lines msg_id running tail
profiles.summary: advice{code code_hint evidence moments{end_us start_us} places{cell file function line text
    whole_function} rank saving_us severity suggestion title} attribution{attributed_us by device_us
    forward_attributed_us forward_us lines{backward_us cpu_us device_us kernels operators place{cell file function
    line text whole_function}} unattributed{device_us name}} cpu{busy_us idle_us span_us} damaged devices{busy_us
    comm_us compute_us device exposed_comm_us idle_us kernels memory_us model rank span_us top_kernels{count kind
    max_us min_us name operator total_us}} events idle{device gaps over_1ms over_1ms_us p50_us rank reasons{code
    count total_us} total_us} incomplete kernels{count kind max_us min_us name operator total_us}
    launches{call_p50_us delay_max_us delay_p50_us delay_p90_us device launches queue_p50_us rank shorter_than_call}
    measured{kernels{block bound compute_pct count device dram_bytes dram_pct flops gb_per_s grid l1_hit_pct l1_pct
    l2_hit_pct l2_pct longest longest_us memory_pct name occupancy_limit occupancy_pct place{cell file function line
    text whole_function} rank registers rules{identifier kind of section speedup_pct text title} shared_memory_bytes
    stalls{cycles pct reason} tflops theoretical_occupancy_pct total_us waves} launches more_kernels note total_us}
    memory{damaged devices{active allocated before before_sites{blocks bytes category name place{cell file function
    line text whole_function} stack} blocks categories{blocks bytes category} device events fragmentation
    largest_free live_at_peak peak peak_event rank reserved retries segments sites{blocks bytes category name
    place{cell file function line text whole_function} stack} timeline{at bytes}} out_of_memory{asked{blocks bytes
    category name place{cell file function line text whole_function} stack} at_us device event free held
    holders{blocks bytes category name place{cell file function line text whole_function} stack} wanted}}
    operators{bytes count device_us flops kernels name self_us total_us} price{target usd_a_step usd_per_hour} ranks
    roofline{covered flops mfu missing operators{bound bytes count device_us dtype flops gb_per_s intensity name
    shapes share tflops} peaks{dtype gb_per_s model tflops} usd_a_step} steps{busy_us comm_us compute_us
    exposed_comm_us idle_us kernels memory_us name rank span_us start_us warmup} streams{busy_us comm_us compute_us
    device kernels memory_us rank stream}
sweep_trials.trial: attempt ended_at kernel_id kernel_name message number params run_id started_at state value
sweeps.plan: cwd direction experiment hours method metric name notebook objective on parallel params planned prune
    seed setup slots space{high kind low name step values} tags timeout_s track{auto autolog log_models output
    source system_metrics}
sweeps.summary: high low mean metric n
sweeps/ID.json: cell setup{label source}
targets.options: carrier host identity_file port python ssh_config user
targets.policy: folder folder_max_bytes folder_max_files idle_gpu_percent idle_minutes warm_kernels warm_minutes
""",
)

#: Kinds of durable work in the store, with their steps.
WORK = _lines(
    "Work that an older Lab began is left as it is for ever, or begins again from its first step.",
    """
deployment: answer judge serve start
environment: build connect use
answers: ask record score
evaluation: predict prepare record
model_import: fetch read register upload
sweep: run
trace: fetch give
prompt-trial: ask
prompt-optimization: compare write
judge-alignment: compare end write
""",
)

#: What lies directly in the data folder.
DATA_FILES = _words(
    "Runs, sweeps, profiles or deployments of before are no longer found; two Labs of two versions hold different "
    "locks.",
    """
answers batches deployments endpoint-limits endpoints.json environments evaluations folders gateway-ports incoming
kernelspecs.lock
load_tests mlflow online operator.json outputs profiles prompts pulls remote resuming runs said secrets shared.db spool
store.db supervisor.lock sweeps templates tracking.lock wheels work
""",
)

#: `genops` and `%genops`: scripts, CI and notebooks call them.
COMMANDS = _lines(
    "A script or CI job that worked stops.",
    """
genops audit: --after --json --limit
genops compute nsight: --json
genops compute nsight-kernel: --compute --json --set kernel
genops compute show: --json name
genops compute:
genops deploy: --adapter --as-file --command --concurrency --dry-run --health --json --name --on --path --port
    --replace-first --replicas --rollout --secret --set --sleep-after --timeout --trust --version --wait model
genops deployments add-key: --json --limit --tokens deployment name
genops deployments add: --adapter --as-file --command --concurrency --dry-run --health --json --name --on --path --port
    --replace-first --replicas --rollout --secret --set --sleep-after --timeout --trust --version --wait model
genops deployments apply: --expect --json --replace-first --take-over --timeout --trust --wait file
genops deployments call: --data --file --json --timeout name
genops deployments continue: --json name
genops deployments diff: --json --trust file
genops deployments init: --file --json --version name
genops deployments check: --json files
genops deployments delete: --json name
genops deployments extend: --json name
genops deployments extend-lifetime: --json name
genops deployments fetch: --json --quantization --secret model
genops deployments fetched: --delete-unused --json
genops deployments hold: --json name
genops deployments keys: --json deployment
genops deployments list: --json
genops deployments load: --data --json --limit-ms --rate --recorded --seconds deployment
genops deployments load-tests: --id --json deployment
genops deployments logs: --follow --json --lines --revision -f -n name
genops deployments promote: --json name
genops deployments record: --experiment --forget --json --requests --sample --show --traces deployment
genops deployments renew: --json name
genops deployments revoke-key: --json deployment name
genops deployments rollback: --json --timeout --to --wait name
genops deployments score: --batch-rows --data --json --out --overwrite --parallel --set --without deployment
genops deployments show: --as-file --json --with-key name
genops deployments stop: --json name
genops deployments:
genops doctor: --json
genops endpoints add: --at-once --currency --json --key-secret --kind --litellm --model --money --price-batch-input
    --price-batch-output --price-cached --price-input --price-output --price-reasoning --requests-per-minute --timeout
    --tokens --tokens-per-minute --url name
genops endpoints delete: --json name
genops endpoints list: --json
genops endpoints show: --json name
genops endpoints test: --accept --json name
genops endpoints:
genops evaluations delete: --json --yes -y result
genops evaluations list: --answers --digest --json --model --version
genops evaluations plan: --data --json --on file
genops evaluations resume: --json --markdown result
genops evaluations run: --data --json --markdown --on file
genops evaluations score: --json --markdown --scorer result
genops evaluations show: --against --json run
genops evaluations:
genops experiments add: --json name
genops experiments delete: --json experiment
genops experiments list: --deleted --json
genops experiments show: --json experiment
genops gates check: --file --json --markdown --version name
genops gates explain: --json --version name
genops gates init: --ci --json --print
genops gates:
genops models promote: --file --json --markdown --reason --to --version name
genops experiments undelete: --json experiment
genops experiments:
genops folders pull: --json --target --theirs --yes -y paths
genops folders push: --json --ours --target --yes -y paths
genops folders status: --json --target paths
genops folders:
genops help: --json words
genops kernels add-nsight: --compute --json --set kernel
genops kernels attach: --json --take-over --target kernel
genops kernels extend: --json --target kernel
genops kernels extend-lifetime: --json --target kernel
genops kernels keep: --json --target kernel
genops kernels list: --json --target
genops kernels logs: --bytes --json --target kernel
genops kernels nsight: --compute --json --set kernel
genops kernels stop: --grace --json --target kernel
genops kernels:
genops lineage show: --down --json --limit --runs --up of
genops lineage:
genops models add: --alias --allow-code --base --best --experiment --from --json --model --path --run
    --secret --smallest name source
genops models alias: --expected --json --reason alias name version
genops models code: --json --version name
genops models bom: --json --output --version name
genops models card: --from --html --json --keep --output --version name
genops models delete: --force --json --version --yes -y name
genops models evaluate: --against --alone --batch-rows --data --group --id --json --label --name --on --task --trust
    --version model
genops models history: --alias --json name
genops models alias-history: --alias --json name
genops models list: --filter --json --limit --sort --versions
genops models revert: --expected --json --reason alias name
genops models revert-alias: --expected --json --reason alias name
genops models free-space: --dry-run --json --yes -y
genops models prune: --json --keep --older-than --yes -y name
genops models pull: --json --version folder name
genops models push: --json --public --secret --version name target
genops models register: --alias --allow-code --base --best --experiment --from --json --model --path --run
    --secret --smallest name source
genops models set: --description --json --tag --untag --version name
genops models show: --json --version name
genops models stages: --json --to-aliases name
genops models sign: --json --key --version name
genops models unalias: --expected --json --reason alias name
genops models verify: --json --key --version name
genops models:
genops ports close: --json host port
genops ports list: --json where
genops ports open: --json --trust port where
genops ports:
genops profile analyze: --json --usd-per-hour traces
genops profile diff: --json after before
genops profile kernel: --filter --json number report
genops profile memory: --json file
genops profile report: --json --output --title -o traces
genops profile:
genops profiles analyze: --json --usd-per-hour traces
genops profiles delete: --json profile_id
genops profiles diff: --json after before
genops profiles fetch: --json profile_id
genops profiles kernel: --filter --json number report
genops profiles list: --json
genops profiles memory: --json file
genops profiles metrics: --filter --json number report
genops profiles kernel-metrics: --filter --json number report
genops profiles report: --json --output --title -o traces
genops profiles show: --json --usd-per-hour profile_id
genops profiles tools: --json
genops profiles:
genops labels add: --json --rows queue
genops labels align: --file --held-out --json --judge --keep --money --optimizer --rounds --seed --writer
    --yes -y result
genops labels begin: --choice --failures --instruction --json --judge --pairs --question --sample result
genops labels delete: --json --yes -y queue
genops labels failures: --answer --dataset --description --embeddings --group --json --model --name --rubric
    --yes -y mode queue
genops labels keep: --file --json id
genops labels list: --json
genops labels resume: --file --json id
genops labels show: --json queue
genops labels:
genops prompts add: --alias --expected --file --json --message --schema --settings --text --tools -f name
genops prompts alias: --delete --expected --json alias name version
genops prompts delete: --json --yes -y name
genops prompts diff: --json after before name
genops prompts list: --json
genops prompts optimizations: --id --json --save name
genops prompts optimize: --data --deployment --endpoint --held-out --json --max-tokens --money --no-save --optimizer
    --optimizer-endpoint --rounds --rows --save --scorer --seed --version --yes -y name
genops prompts resume: --json id
genops prompts run: --data --deployment --endpoint --json --key --max-tokens --model --price-input --price-output --rows
    --url --version --yes -y name
genops prompts show: --json --versions name
genops prompts:
genops traces add-row: --dataset --json --with-answer trace_ids
genops traces compare: --json first second
genops traces list: --errors-first --experiment --filter --json --limit --sort -e
genops traces session: --experiment --json -e session_id
genops traces score: --forget --json --money-per-day --pause --resume --sample --scorers --yes -y deployment
genops traces show: --json --span trace
genops traces tail: --filter --json
genops traces:
genops pull: --json --target --theirs --yes -y paths
genops push: --json --ours --target --yes -y paths
genops quickstart: --json folder
genops runs analyze: --json
genops runs compare: --baseline --json --repeats --single run
genops redaction check: --json --personal --secrets --text file
genops redaction:
genops runs delete: --json run
genops runs export: --csv --deleted --experiment --filter --json --limit --sort --spreadsheet -e file
genops runs list: --deleted --experiment --filter --group --json --limit --sort -e
genops runs optimize-db: --json
genops runs restore: --diff --json --output -o run
genops runs show: --json --link --output run
genops runs tag: --json --remove words
genops runs undelete: --json run
genops runs:
genops secrets delete: --json name
genops secrets list: --json
genops secrets set: --json name
genops secrets:
genops status: --json
genops sweep list: --json
genops sweep resume: --json sweep
genops sweep run: --detach --experiment --hours --json --maximize --method --metric --name --objective --on --parallel
    --prune --seed --timeout --trials -e file space
genops sweep show: --json sweep
genops sweep stop: --json sweep
genops sweep:
genops sweeps delete: --json --yes -y sweep
genops sweeps list: --json
genops sweeps resume: --json sweep
genops sweeps run: --detach --experiment --hours --json --maximize --method --metric --name --objective --on
    --parallel --prune --seed --timeout --trials -e file space
genops sweeps show: --json sweep
genops sweeps stop: --json sweep
genops sweeps:
genops targets add: --batch-script --carrier --field --gpus --identity-file --image --json --kind --kubernetes
    --local --namespace --no-folder --partition --pod-template --port --price-per-hour --python --secret --slurm
    --ssh name
genops targets add-preset: --cpus --gpu-type --gpus --json --memory --price-per-hour --time name preset
genops targets capacity: --json name
genops targets savings: --json
genops targets delete-preset: --json name preset
genops targets presets: --json name
genops targets build: --from --json --name --python --with name
genops targets candidates: --json
genops targets clean: --dry-run --force --json --older-than --timeout name
genops targets connect: --json --timeout name
genops targets delete: --force --json name
genops targets disconnect: --json name
genops targets discover: --json
genops targets hosts: --json name
genops targets install: --json name packages
genops targets kinds: --json kind
genops targets list: --json
genops targets prune: --dry-run --force --json --older-than --timeout name
genops targets free-space: --dry-run --force --json --older-than --timeout name
genops targets release: --json host name
genops targets remove: --force --json name
genops targets role: --account --json --nodes name
genops targets request: --json --keep --preset name
genops targets set: --folder --folder-files --folder-size --idle --idle-gpu --json --no-folder --no-secret
    --price-per-hour --secret --warm --warm-time name
genops targets show: --json name
genops targets stop-host: --json host name
genops targets terminal: --json where
genops targets test: --json name
genops targets tools: --json
genops targets:
genops: --install-completion --show-completion --version
""",
)

#: Files below those folders, here and on hosts, and keys in them: of kernels' keepers and their journals, runs' spools,
#: environments, deployments, MLflow's server, the secret that kernels' keys come from, `.genopsignore` in projects.
FILES = _words(
    "A keeper, a deployment or a server that runs since before the upgrade is not found, or what it wrote is not read.",
    """
.genopsignore .rec build.json clients connection.json genops-building.json genops-environment.json journal kernel.log
keeper.log keeper.sock lab.lock lab.sock lease.json log.txt mlflow.db remote secret server.key server.lock server.log
server.port spare.json spec.json state.json trace.json.gz until
""",
)
