"""Lines with secrets or personal data, and lines of logs, code and listings without. Made from a seed; nobody's.

Half of the forms is held out: the rules were written with the other half alone. A form is in a half by the
digest of its name, so a new form does not move the others.
"""
# ruff: noqa: E501

from __future__ import annotations

import base64
import hashlib
import random
import string
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
CAPITALS = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Line:
    """A line and the value that must go; empty for a technical line, which stays as it is."""

    form: str
    text: str
    value: str = ""

    @property
    def is_held_out(self) -> bool:
        return hashlib.sha256(self.form.encode()).digest()[0] % 2 == 1


class Maker:
    """Makes values from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, alphabet: str, length: int) -> str:
        # With each class of characters that the alphabet has, as real values of this length have.
        while True:
            text = "".join(self.random.choice(alphabet) for _ in range(length))
            groups = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
            if all(set(text) & set(group) for group in groups if set(alphabet) & set(group)):
                return text

    def password(self) -> str:
        return self.random.choice(["Tr0ub", "gr4nite", "b0reas", "n1mbus"]) + self.some(LETTERS, 5)

    def digits(self, pattern: str) -> str:
        return "".join(self.random.choice(string.digits) if sign == "#" else sign for sign in pattern)

    def base64(self, size: int) -> str:
        return base64.b64encode(self.random.randbytes(size)).decode()

    def checked(self, prefix: str) -> str:
        """A token with the checksum of GitHub and npm."""
        digits, body = string.digits + string.ascii_uppercase + string.ascii_lowercase, self.some(LETTERS, 30)
        rest, end = zlib.crc32(body.encode()), ""
        while rest:
            rest, digit = divmod(rest, 62)
            end = digits[digit] + end
        return prefix + body + end.rjust(6, "0")

    def card(self) -> str:
        body = self.digits("4##############")
        total = sum(
            int(one) if place % 2 else sum(divmod(2 * int(one), 10))
            for place, one in enumerate(reversed(body))
        )
        return body + str(-total % 10)

    def iban(self, country: str, body: str) -> str:
        text = self.digits(body)
        moved = "".join(str(int(sign, 36)) for sign in text + country + "00")
        return f"{country}{98 - int(moved) % 97:02}{text}"

    def email(self) -> str:
        name = self.random.choice(["ada.lovelace", "g.hopper", "emmy", "k_johnson", "sofia+lab"])
        return f"{name}@{self.random.choice(['gmail.com', 'uni-bonn.de', 'mail.acme.co.uk', 'proton.me', 'ACME.ORG'])}"


def in_groups(text: str) -> str:
    return " ".join(text[place : place + 4] for place in range(0, len(text), 4))


#: Values of each kind, in the forms that their makers give them.
_VALUES: dict[str, Callable[[Maker], str]] = {
    "aws": lambda m: "AKIA" + m.some(CAPITALS, 16),
    "github": lambda m: m.checked("ghp_"),
    "github fine": lambda m: "github_pat_" + m.some(LETTERS, 22) + "_" + m.some(LETTERS, 59),
    "gitlab": lambda m: "glpat-" + m.some(LETTERS, 20),
    "hugging face": lambda m: "hf_" + m.some(LETTERS, 34),
    "openai": lambda m: "sk-proj-" + m.some(LETTERS, 74),
    "anthropic": lambda m: "sk-ant-api03-" + m.some(LETTERS, 93) + "AA",
    "google": lambda m: "AIza" + m.some(LETTERS, 35),
    "slack": lambda m: "xoxb-" + m.digits("############") + "-" + m.some(LETTERS, 24),
    "stripe": lambda m: "sk_live_" + m.some(LETTERS, 24),
    "npm": lambda m: m.checked("npm_"),
    "pypi": lambda m: "pypi-AgEIcHlwaS5vcmc" + m.some(LETTERS, 90),
    "jwt": lambda m: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ." + m.some(LETTERS, 43),
    "databricks": lambda m: "dapi" + m.some(HEX, 32),
    "sendgrid": lambda m: "SG." + m.some(LETTERS, 22) + "." + m.some(LETTERS, 43),
    "vault": lambda m: "hvs." + m.some(LETTERS, 90),
    "nvidia": lambda m: "nvapi-" + m.some(LETTERS, 64),
    "groq": lambda m: "gsk_" + m.some(LETTERS, 52),
    "replicate": lambda m: "r8_" + m.some(LETTERS, 37),
    "telegram": lambda m: m.digits("#########") + ":AA" + m.some(LETTERS, 33),
    "random 32": lambda m: m.some(LETTERS, 32),
    "random base64": lambda m: m.base64(33),
}
_PLACES = {
    "code": "client = Client({value!r}, timeout=30)",
    "log": "2026-11-30 12:00:01,123 INFO httpx: request with {value} answered 200 in 31 ms",
    "chat": "my key is {value} please debug the call for me",
    "shell": "curl -H 'X-Auth: {value}' https://api.acme.test/v1/jobs",
    "json": '{{"role": "user", "content": "use {value} for it"}}',
    "yaml": "  credential: {value}",
    "markdown": "Set it to `{value}` first.",
    "traceback": "ValueError: invalid credential: {value}",
}
#: A password as a person chooses it, known by what stands before it.
_NAMED = {
    "python": 'db_password = "{value}"',
    "keyword": "connect(host='db', password='{value}')",
    "env": "export SMTP_PASSWORD={value}",
    "dotenv": "REDIS_PASS={value}",
    "yaml": "password: {value}",
    "json": '{{"user": "ada", "password": "{value}"}}',
    "toml": 'api_secret = "{value}"',
    "url": "DATABASE_URL=postgresql://ada:{value}@db.acme.test:5432/prod",
    "url redis": "redis://:{value}@cache:6379/0",
    "ini": "passwd={value}",
    "libpq": 'conninfo = "host=db user=ada password={value} dbname=x"',
    "ado": 'cs = "Server=db;Database=x;User Id=sa;Password={value};"',
    "curl": "curl -u ada:{value} https://repo.acme.test",
    "option": "mytool login --password {value} --verbose",
    "mysql": "mysqldump -u root -p{value} prod",
    "getenv": "os.environ.get('DB_PASSWORD', '{value}')",
    "dict": 'config["client_secret"] = "{value}"',
    "typescript": "const apiKey: string = '{value}';",
    "netrc": "machine api.test login ada password {value}",
    "docker": "docker login -u ada -p {value} registry.test",
    "header": 'headers = {{"X-Api-Key": "{value}"}}',
    "helm": "helm install x --set auth.password={value}",
    "terraform": 'secret_key = "{value}"',
    "escaped json": '{{"arguments": "{{\\"password\\": \\"{value}\\"}}"}}',
    "spoken": "the password is {value}",
    "compose": "      - POSTGRES_PASSWORD={value}",
}
_PEOPLE: dict[str, Callable[[Maker], str]] = {
    "email": lambda m: m.email(),
    "card": lambda m: m.card(),
    "card in groups": lambda m: in_groups(m.card()),
    "iban": lambda m: m.iban("DE", "##################"),
    "iban in groups": lambda m: in_groups(m.iban("NL", "ABNA##########")),
    "iban of france": lambda m: m.iban("FR", "#######################"),
    "phone": lambda m: m.digits("+49 30 9######"),
    "phone of america": lambda m: m.digits("(415) 555-01##"),
    "phone with dashes": lambda m: m.digits("212-555-01##"),
    "phone of britain": lambda m: m.digits("+44 20 7946 0###"),
    "phone without spaces": lambda m: m.digits("+3361234####"),
    "social security": lambda m: m.digits("219-45-6###").replace("-0000", "-0001"),
}
_SENTENCES = {
    "chat": "Hello, please send the papers to {value}. Thanks!",
    "json": '{{"customer": {{"contact": "{value}", "id": 12}}}}',
    "csv": "1042,Ada,{value},2026-11-30",
    "log": "2026-11-30T12:00:01Z WARN could not reach {value}",
    "question": "Is {value} right?",
}


def secrets(seed: int = 7) -> list[Line]:
    """Lines with a secret each."""
    maker = Maker(seed)
    lines = []
    for kind, make in _VALUES.items():
        for place, form in _PLACES.items():
            value = make(maker)
            lines.append(Line(f"{kind} in {place}", form.format(value=value), value))
    for place, form in _NAMED.items():
        for _ in range(3):
            value = maker.password()
            lines.append(Line(f"password in {place}", form.format(value=value), value))
    return lines


def people(seed: int = 8) -> list[Line]:
    """Lines with one piece of personal data each."""
    maker = Maker(seed)
    found = []
    for kind, make in _PEOPLE.items():
        for place, form in _SENTENCES.items():
            value = make(maker)
            found.append(Line(f"{kind} in {place}", form.format(value=value), value))
    return found


def technical(seed: int = 9) -> list[Line]:
    """Lines as logs, code, listings and dumps have them."""
    m = Maker(seed)
    h = lambda size: m.some(HEX, size)  # noqa: E731
    forms: dict[str, Callable[[], str]] = {
        "git log": lambda: f"commit {h(40)} (HEAD -> main)",
        "git short": lambda: f"{h(8)} Mend the loader ({h(7)}..{h(7)})",
        "git index": lambda: f"index {h(8)}..{h(8)} 100644",
        "git url": lambda: f"pip install git+https://github.com/acme/lab.git@{h(40)}",
        "git ssh": lambda: "git clone git@github.com:acme/lab.git",
        "uuid": lambda: f"session {uuid.UUID(int=m.random.getrandbits(128))} opened",
        "gpu uuid": lambda: f"GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-{uuid.UUID(int=m.random.getrandbits(128))})",
        "docker digest": lambda: f"image: ghcr.io/acme/lab@sha256:{h(64)}",
        "docker id": lambda: f"{h(12)}   postgres:16   \"docker-entrypoint.s…\"   Up 3 hours",
        "pip hash": lambda: f"    --hash=sha256:{h(64)} \\",
        "wheel record": lambda: f"torch/nn/modules/linear.py,sha256={m.base64(32).rstrip('=')},11234",
        "yarn integrity": lambda: f'  integrity "sha512-{m.base64(64)}"',
        "conda build": lambda: f"pytorch-2.5.1-py3.11_cuda12.4_cudnn9.1.0_{m.digits('#')}",
        "cuda": lambda: "CUDA 12.4.131, cuDNN 9.1.0.70, driver 550.54.15, compute capability 9.0",
        "nvidia-smi": lambda: "|   0  NVIDIA H100 80GB HBM3          On  |   00000000:18:00.0 Off |                    0 |",
        "wheel": lambda: "torch-2.5.1+cu124-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "tensor": lambda: f"tensor([[ 0.{m.digits('####')}, -1.{m.digits('####')},  2.{m.digits('####')}e-05]], device='cuda:0')",
        "tensor of integers": lambda: f"tensor([{m.digits('1#####')}, {m.digits('4#####')}, 50256], dtype=torch.int64)",
        "floats": lambda: f"loss=0.{m.digits('################')} lr=3e-4 step={m.digits('1####')}",
        "nanoseconds": lambda: f"ts={m.digits('17#################')} dur={m.digits('4#######')}",
        "traceparent": lambda: f"traceparent: 00-{h(32)}-{h(16)}-01",
        "mlflow run": lambda: f"runs:/{h(32)}/model",
        "mlflow trace": lambda: f"trace tr-{h(32)} has 12 spans",
        "logged model": lambda: f"models:/m-{h(32)}",
        "openai answer": lambda: f'{{"id": "chatcmpl-{m.some(LETTERS, 29)}", "object": "chat.completion"}}',
        "tool call": lambda: f'{{"tool_call_id": "call_{m.some(LETTERS, 24)}", "type": "function"}}',
        "anthropic message": lambda: f'{{"id": "msg_01{m.some(LETTERS, 22)}", "type": "message"}}',
        "anthropic tool": lambda: f'{{"id": "toolu_01{m.some(LETTERS, 22)}", "type": "tool_use"}}',
        "request id": lambda: f"x-request-id: req_{h(32)}",
        "fingerprint": lambda: f'"system_fingerprint": "fp_{h(10)}"',
        "usage": lambda: '"usage": {"prompt_tokens": 1234, "completion_tokens": 567, "total_tokens": 1801}',
        "max tokens": lambda: "max_tokens=4096, stop_token='<|im_end|>', token_type='bearer'",
        "picture": lambda: f'<img src="data:image/png;base64,iVBORw0KGgo{m.base64(90)}">',
        "picture's start": lambda: f'"image": "/9j/{m.base64(60)}"',
        "long base64": lambda: f'"data": "{m.base64(600)}"',
        "certificate": lambda: f"MIID{m.some(LETTERS, 60)}",
        "public key": lambda: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{m.some(LETTERS, 43)} ada-laptop",
        "path": lambda: "/opt/conda/envs/py311/lib/python3.11/site-packages/torch/nn/modules/module.py",
        "hub cache": lambda: f"~/.cache/huggingface/hub/models--meta-llama--Llama-3.1-8B/snapshots/{h(40)}/config.json",
        "bucket": lambda: f"s3://acme-data/experiments/2026-11-30/run_{m.digits('####')}/checkpoint-{m.digits('#####')}/",
        "pod": lambda: f"web-{m.some('bcdfghjklmnpqrstvwxz2456789', 10)}-{m.some('bcdfghjklmnpqrstvwxz2456789', 5)}   1/1   Running",
        "shard": lambda: "model-00001-of-00004.safetensors: 100%|██████████| 4.98G/4.98G [01:12<00:00, 68.9MB/s]",
        "traceback": lambda: '  File "/home/ada/lab/train.py", line 41, in train_one_epoch',
        "warning": lambda: "UserWarning: The given NumPy array is not writable (triggered at ../torch/csrc/utils/tensor_numpy.cpp:206.)",
        "address": lambda: f"<torch.nn.Linear object at 0x7f{h(10)}>",
        "kernel name": lambda: "void cutlass::Kernel2<cutlass_80_tensorop_s16816gemm_f16_128x128_32x5_nn_align8>",
        "ampere kernel": lambda: "ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x4_tn",
        "mangled": lambda: "_ZN2at6native29vectorized_elementwise_kernelILi4ENS0_11FillFunctorIfEENS_6detail5ArrayIPcLi1EEEEEviT0_T1_",
        "matrix product": lambda: "y = x@w.mean(0) + b@self.proj.T",
        "decorator": lambda: "@pytest.mark.parametrize('seed', range(5))",
        "versions": lambda: "numpy==2.1.3 npm@10.9.0 typescript@5.6.3 python@3.11",
        "address of ipv6": lambda: "listening on [2001:db8:85a3::8a2e:370:7334]:8888",
        "ip": lambda: "10.42.0.17 - - [30/Nov/2026:12:00:01 +0000] \"GET /api/kernels HTTP/1.1\" 200 1532",
        "mac": lambda: "ether 02:42:ac:11:00:02  txqueuelen 0",
        "date": lambda: "2026-11-30T12:00:01.123456+00:00 from 1764504001123 to 1764504009999",
        "etag": lambda: f'ETag: "{h(32)}-12"',
        "s3 etag": lambda: f'ETag: W/"{m.some(LETTERS, 27)}"',
        "csp": lambda: f"script-src 'sha256-{m.base64(32)}'",
        "cell id": lambda: f'{{"cell_type": "code", "id": "{h(8)}", "metadata": {{}}}}',
        "chrome trace": lambda: '{"ph": "X", "name": "aten::mm", "pid": 1843, "tid": 1843, "ts": 4508123456.789, "dur": 41.2}',
        "slurm": lambda: "JobId=4721 UserId=ada(1001) Partition=gpu NodeList=gpu-[01-04] TRES=cpu=32,mem=128G,gres/gpu=8",
        "hyperparameters": lambda: "lr=3e-4 batch_size=256 warmup_steps=1000 weight_decay=0.1 betas=(0.9, 0.95)",
        "environment read": lambda: 'token = os.environ["HF_TOKEN"]',
        "placeholder": lambda: 'openai.api_key = "YOUR_API_KEY"',
        "template": lambda: "url = f'postgresql://{user}:{password}@{host}/{name}'",
        "prompt": lambda: "Classify the sentiment of the review below as positive, negative or neutral.",
        "tokenizer": lambda: "tokenizer.add_special_tokens({'pad_token': '[PAD]'}); token_ids = [101, 2023, 102]",
        "regex": lambda: r'token_pattern = r"(?u)\b\w\w+\b"',
        "sql": lambda: "SELECT user_id, count(*) FROM events WHERE ts > '2026-11-01' GROUP BY 1;",
        "sem ver": lambda: f"@acme/lab@1.{m.digits('#')}.0-alpha.{m.digits('##')}+sha.{h(7)}",
        "hex dump": lambda: f"00000010  {' '.join(h(2) for _ in range(8))}  {' '.join(h(2) for _ in range(8))}  |........|",
        "seeds": lambda: f"seed={m.digits('1#########')} rng_state=[{m.digits('2#########')}, {m.digits('3#########')}]",
        "parameters": lambda: f"trainable params: {m.digits('4,194,###')} || all params: {m.digits('8,034,455,###')} || trainable%: 0.0522",
        "cuda arch": lambda: "TORCH_CUDA_ARCH_LIST=8.0;8.6;9.0+PTX NCCL_VERSION=2.21.5-1+cuda12.4",
        "order": lambda: f"order {m.digits('2026-######')} shipped as 1Z{m.some(CAPITALS, 16)}",
        "phone-like range": lambda: "rows 1200-1300 of 4000-5000, pages 12-14, 2024-2026",
    }  # fmt: skip
    return [Line(form, make()) for form, make in forms.items() for _ in range(3)]
