"""Secrets that are nobody's, in the forms that their makers give them, made anew from a seed."""

from __future__ import annotations

import base64
import json
import random
import string
from dataclasses import dataclass

LOWER_HEX = "0123456789abcdef"
LETTERS = string.ascii_letters + string.digits
CAPITALS = string.ascii_uppercase + string.digits
URL_SAFE = LETTERS + "-_"
BASE64 = LETTERS + "+/"


@dataclass(frozen=True)
class Planted:
    """``secret`` must never be written; ``line`` is code that holds it."""

    kind: str
    secret: str
    line: str


def planted_secrets(seed: int = 20) -> list[Planted]:
    """At least fifty, each of another kind or in another place."""
    rng = random.Random(seed)

    def some(alphabet: str, length: int) -> str:
        # With a capital, a small letter and a digit where the alphabet has them, as real ones of this length have.
        while True:
            text = "".join(rng.choice(alphabet) for _ in range(length))
            kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
            if all(set(text) & set(group) for group in kinds if set(alphabet) & set(group)):
                return text

    def jwt_part(**claims: str) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    tokens = {
        "aws key id": "AKIA" + some(CAPITALS, 16),
        "aws session key id": "ASIA" + some(CAPITALS, 16),
        "github": "ghp_" + some(LETTERS, 36),
        "github oauth": "gho_" + some(LETTERS, 36),
        "github app": "ghs_" + some(LETTERS, 36),
        "github fine": "github_pat_" + some(LETTERS, 22) + "_" + some(LETTERS, 59),
        "gitlab": "glpat-" + some(URL_SAFE, 20),
        "gitlab runner": "glrt-" + some(LETTERS, 20),
        "hugging face": "hf_" + some(string.ascii_letters, 34),
        "openai": "sk-proj-" + some(URL_SAFE, 74),
        "openai old": "sk-" + some(LETTERS, 48),
        "anthropic": "sk-ant-api03-" + some(URL_SAFE, 93) + "AA",
        "openrouter": "sk-or-v1-" + some(LOWER_HEX, 64),
        "google": "AIza" + some(URL_SAFE, 35),
        "google oauth": "ya29." + some(URL_SAFE, 60),
        "google client": "GOCSPX-" + some(LETTERS, 28),
        "slack": "xoxb-" + some(string.digits, 12) + "-" + some(LETTERS, 24),
        "slack app": "xapp-1-" + some(CAPITALS, 11) + "-" + some(LOWER_HEX, 64),
        "stripe": "sk_live_" + some(LETTERS, 24),
        "stripe restricted": "rk_test_" + some(LETTERS, 24),
        "npm": "npm_" + some(LETTERS, 36),
        "pypi": "pypi-AgEIcHlwaS5vcmc" + some(URL_SAFE, 70),
        "json web token": f"{jwt_part(alg='HS256')}.{jwt_part(sub='ada', name='Ada')}.{some(URL_SAFE, 43)}",
        "databricks": "dapi" + some(LOWER_HEX, 32),
        "twilio": "SK" + some(LOWER_HEX, 32),
        "sendgrid": "SG." + some(LETTERS, 22) + "." + some(LETTERS, 43),
        "azure client": some(LETTERS, 3) + "8Q~" + some(LETTERS, 34),
        "telegram": some(string.digits, 9) + ":AA" + some(URL_SAFE, 33),
        "discord": "M" + some(LETTERS, 23) + "." + some(LETTERS, 6) + "." + some(LETTERS, 27),
        "digitalocean": "dop_v1_" + some(LOWER_HEX, 64),
        "vault": "hvs." + some(LETTERS, 24),
        "replicate": "r8_" + some(LETTERS, 37),
        "groq": "gsk_" + some(LETTERS, 52),
        "docker": "dckr_pat_" + some(LETTERS, 27),
        "langsmith": "lsv2_pt_" + some(LOWER_HEX, 32) + "_" + some(LOWER_HEX, 10),
        "shopify": "shpat_" + some(LOWER_HEX, 32),
        "new relic": "NRAK-" + some(CAPITALS, 27),
        "random base64": some(BASE64, 44),
        "random letters": some(LETTERS, 32),
        "random url-safe": some(URL_SAFE, 43),
    }
    found = [Planted(kind, token, f"client = connect({token!r})") for kind, token in tokens.items()]
    url_password, query, bearer = some(LETTERS, 14), some(LETTERS, 30), some(URL_SAFE, 40)
    aws_secret, azure = some(BASE64, 40), some(BASE64, 86)
    hexadecimal, short, yaml, env = (
        some(LOWER_HEX, 32),
        some(LETTERS, 9),
        some(LETTERS, 12),
        some(LETTERS, 16),
    )
    found += [
        Planted("password in a URL", url_password, f"db = 'postgresql://ada:{url_password}@db:5432/x'"),
        Planted("secret in a URL", query, f"requests.get('https://api.test/v1?access_token={query}')"),
        Planted("bearer", bearer, f'headers = {{"Authorization": "Bearer {bearer}"}}'),
        Planted("aws secret", aws_secret, f'aws_secret_access_key = "{aws_secret}"'),
        Planted("azure account", azure, f"'DefaultEndpointsProtocol=https;AccountKey={azure}==;'"),
        Planted("hexadecimal by name", hexadecimal, f"WANDB_API_KEY = '{hexadecimal}'"),
        Planted("short by name", short, f"connect(user='ada', password='{short}')"),
        Planted("dictionary by name", yaml, f'{{"db_password": "{yaml}"}}'),
        Planted("environment", env, f"%env SERVICE_TOKEN={env}"),
    ]
    # What stands in the form's place is a word of letters and digits, as people choose them.
    words = {
        "libpq": 'dsn = "host=db user=me password={}"',
        "libpq, password first": "conn = psycopg.connect('password={} host=db dbname=x')",
        "ado": 'c = "Server=db;Database=x;User Id=sa;Pwd={};Encrypt=no"',
        "ado, spaced": "c = 'Data Source = db; Password = {}'",
        "two names": 'user, pwd = "me", "{}"',
        "pass": 'text = """\nDB_PASS={}\n"""',
        "pass in a dictionary": '{{"user": "me", "pass": "{}"}}',
        "pw": "db_pw = '{}'",
        "pwd in camel case": "connect(dbPwd='{}')",
        "default of the environment": 'pw = os.environ.get("PW", "{}")',
        "default of getenv": "x = os.getenv('SMTP_PASS', '{}')",
        "netrc": 'text = """machine api.test login me password {}\n"""',
        "netrc of several lines": 'text = """\nmachine api.test\n  login me\n  password {}\n"""',
        "netrc as a text": 'netrc = "machine api.test login me account x password {}\\n"',
        "curl": "!curl -sS -u me:{} https://api.test/v1",
        "curl, long": "!curl --user 'me:{}' https://api.test/v1",
        "curl as a list": 'subprocess.run(["curl", "-fsu", "me:{}", url])',
        "sshpass": "!sshpass -p {} ssh me@host ls",
        "sshpass as a list": "run(['sshpass', '-p', '{}', 'ssh', host])",
        "mysql": "!mysql -h db -u me -p{} -e 'select 1'",
        "mysqldump as a list": 'run(["mysqldump", "-p{}", "x"])',
        "docker login": "!docker login -u me -p {} registry.test",
        "an option": "!tool --password {} --verbose",
        "an option as a list": 'run(["tool", "--api-key", "{}"])',
    }
    for kind, form in words.items():
        word = "dsn" + some(LETTERS, 4) + "_" + some(string.digits, 2)
        found.append(Planted(kind, word, form.format(word)))
    hex_forms = {
        "kaggle": (32, '{{"username":"me","key":"{}"}}'),
        "kaggle, the key first": (32, "{{'key': '{}', 'username': 'me'}}"),
        "wandb by name": (40, 'wandb_key = "{}"'),
        "wandb login": (40, 'wandb.login(key="{}")'),
        "wandb login without a name": (40, "wandb.login('{}')"),
        "wandb in a shell": (40, "!wandb login --relogin {}"),
        "hexadecimal login": (32, 'login="{}"'),
        "hexadecimal key": (32, 'text = """\nservice_key: {}\n"""'),
    }
    for kind, (length, form) in hex_forms.items():
        digits = some(LOWER_HEX, length)
        found.append(Planted(kind, digits, form.format(digits)))
    body = [some(BASE64, 64) for _ in range(12)] + [some(BASE64, 40) + "=="]
    key = ["-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----"]
    found += [
        Planted("private key", body[0], 'pem = """\n' + "\n".join(key) + '\n"""'),
        Planted("private key's end", body[-1], 'pem = """\n' + "\n".join(key) + '\n"""'),
    ]
    return found
