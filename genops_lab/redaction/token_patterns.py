"""Define the forms of well-known tokens and keys, which are redacted everywhere.

Each entry is (kind, texts of which one must occur, pattern). The texts save time: the pattern is compiled and
tried only if one occurs. If a pattern has a group, only the group is the secret. A pattern is linear in the
text: what may be long is bounded, or begins only where a run of its characters begins. The forms come from the makers'
documentation and from secret scanners (gitleaks, detect-secrets); this table is our own.
"""

from __future__ import annotations

from typing import Tuple

from .secret_names import HEX_KEY, HEX_NAME

PRIVATE_KEY = "private key"
URL_PASSWORD = "password in a URL"  # noqa: S105 - the name of a kind
COMMAND = "password in a command"
NETRC = "netrc password"
HEX = "hexadecimal key"
#: Between words of a command, typed in a shell or as a list of texts.
_GAP = r"(?:[ \t]+[\"']?|[\"']\s*,\s*[\"'])"
#: A value in a command: no variable, placeholder or further option.
_WORD = r"(?![$<{%*-])[^\s\"'\\,]"
#: Between words of a netrc file, also as a text in code; and such a word.
_BREAK, _ENTRY = r"(?:\s|\\n){1,9}", r"[^\s\\]{1,200}"

FORMS: Tuple[Tuple[str, Tuple[str, ...], str], ...] = (
    (
        PRIVATE_KEY,
        ("PRIVATE KEY",),
        # With or without its last line. Key material is a long run of base64; code that only names the header
        # has none.
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?=[^-]{0,2000}?[A-Za-z0-9+/=]{30})[^\0]{0,20000}?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:(?:\\n|[\s\"'])*[A-Za-z0-9+/=]{30,})+(?:(?:\\n|\s)+[A-Za-z0-9+/]+={0,2})?)",
    ),
    (PRIVATE_KEY, ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    ("json web token", ("eyJ",), r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?"),
    (URL_PASSWORD, ("://",), r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@'\"<>{}\[\]]*:([^\s/@'\"<>{}\[\]]+)@"),
    (
        "secret in a URL",
        ("=",),
        r"(?i)[?&](?:access_|auth_|refresh_|id_)?(?:token|api_?key|key|password|secret|sig|signature|X-Amz-Signature|"
        r"X-Amz-Credential|X-Amz-Security-Token|X-Goog-Signature)=([A-Za-z0-9%+/=_.~-]{12,})",
    ),
    (
        "authorization header",
        ("earer", "EARER", "asic", "BASIC"),
        r"(?i)\b(?:bearer|basic)\s+((?=[\w.~+/-]{0,200}[0-9])[\w.~+/-]{16,}={0,2})",
    ),
    ("aws key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    (
        "aws key",
        ("ccess", "CCESS"),
        r"(?i)secret_?access_?key[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
    ),
    ("github token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    ("github token", ("github_pat_",), r"\bgithub_pat_\w{22,255}\b"),
    (
        "gitlab token",
        ("gl",),
        r"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_-]{20,300}(?:\.[A-Za-z0-9_]{2,}){0,2}",
    ),
    ("gitlab token", ("GR1348941",), r"\bGR1348941[\w-]{20}"),
    ("hugging face token", ("hf_",), r"\bhf_[A-Za-z0-9]{30,}\b"),
    ("hugging face token", ("api_org_",), r"\bapi_org_[A-Za-z0-9]{30,}\b"),
    ("anthropic key", ("sk-ant-",), r"\bsk-ant-[\w-]{20,}"),
    ("openrouter key", ("sk-or-",), r"\bsk-or-[\w-]{20,}"),
    # Names of CSS classes (scikit-learn) also begin with "sk-", but have no digits beside capitals.
    ("openai key", ("sk-",), r"\bsk-(?=[\w-]{0,200}[0-9])(?=[\w-]{0,200}[A-Z])[\w-]{20,}"),
    ("openai key", ("sk-",), r"\bsk-[0-9a-f]{32,64}\b"),
    ("google key", ("AIza",), r"\bAIza[\w-]{35}"),
    ("google key", ("ya29.",), r"\bya29\.[\w-]{20,}"),
    ("google key", ("GOCSPX-",), r"\bGOCSPX-[\w-]{28}"),
    ("slack token", ("xox",), r"\bxox[a-z]-[A-Za-z0-9-]{10,}"),
    ("slack token", ("xapp-",), r"\bxapp-\d-[A-Za-z0-9-]{10,}"),
    ("slack token", ("hooks.slack.com",), r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/+]{20,})"),
    ("stripe key", ("_live_", "_test_", "_prod_"), r"\b[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}"),
    ("stripe key", ("whsec_",), r"\bwhsec_[A-Za-z0-9+/]{20,}={0,2}"),
    ("npm token", ("npm_",), r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi token", ("pypi-",), r"\bpypi-[\w-]{50,}"),
    (
        "azure key",
        ("AccountKey=", "SharedAccessKey="),
        r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})",
    ),
    ("azure key", ("Q~",), r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}"),
    ("databricks token", ("dapi", "dose"), r"\b(?:dapi|dose)[0-9a-f]{32}(?:-\d)?\b"),
    ("twilio key", ("SK",), r"\bSK[0-9a-f]{32}\b"),
    ("sendgrid key", ("SG.",), r"\bSG\.[\w-]{16,32}\.[\w-]{16,64}"),
    ("mailgun key", ("key-",), r"\bkey-[0-9a-f]{32}\b"),
    ("mailchimp key", ("-us",), r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    ("discord token", (".",), r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}\b"),
    ("discord token", ("/api/webhooks/",), r"/api/webhooks/\d+/([\w-]{30,})"),
    ("telegram token", (":AA",), r"\b\d{8,10}:AA[\w-]{33}"),
    ("digitalocean token", ("_v1_",), r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    ("vault token", ("hvs.", "hvb.", "hvr."), r"\bhv[sbr]\.[\w-]{24,}"),
    ("terraform token", (".atlasv1.",), r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}"),
    ("replicate token", ("r8_",), r"\br8_[A-Za-z0-9]{37,}\b"),
    ("groq key", ("gsk_",), r"\bgsk_[A-Za-z0-9]{40,}\b"),
    ("perplexity key", ("pplx-",), r"\bpplx-[A-Za-z0-9]{40,}\b"),
    ("xai key", ("xai-",), r"\bxai-[A-Za-z0-9]{60,}\b"),
    ("nvidia key", ("nvapi-",), r"\bnvapi-[\w-]{60,}"),
    ("langsmith key", ("lsv2_",), r"\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}\b"),
    ("wandb key", ("wandb_v1_",), r"\bwandb_v1_\w{40,}"),
    ("docker token", ("dckr_",), r"\bdckr_(?:pat|oat)_[\w-]{27,}"),
    ("grafana token", ("glc_", "glsa_"), r"\bgl(?:c|sa)_[A-Za-z0-9+/_]{32,}={0,2}"),
    ("new relic key", ("NRAK-",), r"\bNRAK-[A-Z0-9]{27}\b"),
    ("linear key", ("lin_api_",), r"\blin_api_[A-Za-z0-9]{40}\b"),
    ("notion token", ("secret_", "ntn_"), r"\b(?:secret|ntn)_[A-Za-z0-9]{40,}\b"),
    ("shopify token", ("shp",), r"\bshp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}\b"),
    ("square token", ("sq0",), r"\bsq0[a-z]{3}-[\w-]{22,43}"),
    ("atlassian token", ("ATATT3",), r"\bATATT3[\w=-]{100,}"),
    ("airtable token", ("pat",), r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b"),
    ("postman key", ("PMAK-",), r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b"),
    ("sentry token", ("sntry",), r"\bsntry[su]_[\w+/=.-]{40,}"),
    ("alibaba key", ("LTAI",), r"\bLTAI[A-Za-z0-9]{17,21}\b"),
    (
        NETRC,
        ("password",),
        rf"\b(?:machine{_BREAK}{_ENTRY}|default){_BREAK}login{_BREAK}{_ENTRY}{_BREAK}"
        rf"(?:account{_BREAK}{_ENTRY}{_BREAK})?password{_BREAK}({_WORD}+)",
    ),
    (
        NETRC,
        ("machine",),
        rf"\bmachine{_BREAK}{_ENTRY}{_BREAK}password{_BREAK}({_WORD}{{1,200}}){_BREAK}login\s",
    ),
    (
        COMMAND,
        ("curl", "wget", "httpie"),
        rf"\b(?:curl|wget|httpie)\b[^\n]{{0,300}}?[\s\"'](?:-[A-Za-z]*[uU]|--(?:proxy-)?user){_GAP}"
        rf"[^\s:\"',$]+:({_WORD}{{4,}})",
    ),
    (COMMAND, ("sshpass",), rf"\bsshpass{_GAP}-p(?:{_GAP})?({_WORD}+)"),
    (
        COMMAND,
        ("mysql", "mariadb"),
        rf"\b(?:mysql|mariadb)[\w-]*\b[^\n|;&]{{0,200}}?[\s\"']-p({_WORD}{{4,}})",
    ),
    (
        COMMAND,
        ("login",),
        rf"\b(?:docker|podman|helm|oras|skopeo|buildah|nerdctl)\b[^\n]{{0,100}}?\blogin\b[^\n]{{0,200}}?"
        rf"[\s\"'](?:-p|--password)(?:=|{_GAP})({_WORD}{{4,}})",
    ),
    (
        COMMAND,
        ("--",),
        r"(?i)(?<![\w-])--(?:[a-z]+-)?(?:password|passwd|passphrase|pass|token|secret|api-?key)"
        rf"(?:=[\"']?|{_GAP})((?=[^\s\"']{{0,200}}[0-9]){_WORD}{{6,}})",
    ),
    (
        "kaggle key",
        ("username",),
        r"[\"']username[\"']\s*:\s*[\"'][^\"'\n]{1,100}[\"']\s*,\s*[\"']key[\"']\s*:\s*[\"']([0-9a-f]{32})[\"']",
    ),
    ("kaggle key", ("username",), r"[\"']key[\"']\s*:\s*[\"']([0-9a-f]{32})[\"']\s*,\s*[\"']username[\"']"),
    (HEX, ("key", "KEY", "Key"), HEX_NAME + r"[\"'\]]{0,2}\s*(?:=|:=|:|=>)\s*[rbuf]?[\"']?(" + HEX_KEY + ")"),
    (
        HEX,
        ("login", "LOGIN", "Login", "wandb", "WANDB"),
        r"(?i:login|\bwandb\w{0,40})[^\w\n]{1,6}(?:--[\w-]+\s+)?[\"']?(" + HEX_KEY + ")",
    ),
)

KINDS = tuple(dict.fromkeys(kind for kind, _, _ in FORMS))
