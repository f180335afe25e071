//! What a text looks like that must not be in an event: tokens, signed URLs, credentials, what a
//! database said, and pieces of payloads.
//!
//! It is the second fence. The first are the kinds, which have no room for free text. Neither can
//! tell a secret of hexadecimal digits from a hash: that is for the adapter to know.

use std::fmt;

/// What a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words that are shown say it")]
pub enum Suspicion {
    Token,
    PrivateKey,
    Url,
    Credentials,
    DatabaseError,
    Sql,
    StackTrace,
    Payload,
    Address,
    Random,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Suspicion::Token => "a token",
            Suspicion::PrivateKey => "a private key",
            Suspicion::Url => "a URL",
            Suspicion::Credentials => "credentials",
            Suspicion::DatabaseError => "what a database says of an error",
            Suspicion::Sql => "SQL",
            Suspicion::StackTrace => "a stack trace",
            Suspicion::Payload => "a payload",
            Suspicion::Address => "a mail address",
            Suspicion::Random => "random characters, as secrets are",
        })
    }
}

/// Judges a text, given as it is and in lower case.
type LooksLike = fn(&str, &str) -> bool;

/// What `text` looks like, if it looks like anything that must not be recorded.
pub fn suspicion(text: &str) -> Option<Suspicion> {
    let lower = unescaped(text).to_lowercase();
    let lower = lower.as_str();
    let checks: [(LooksLike, Suspicion); 10] = [
        (|_, lower| any(lower, PRIVATE_KEYS), Suspicion::PrivateKey),
        (|text, lower| is_token(text, lower), Suspicion::Token),
        (|_, lower| any(lower, DATABASE_ERRORS), Suspicion::DatabaseError),
        (|_, lower| is_credentials(lower), Suspicion::Credentials),
        (|_, lower| lower.contains("://") || any(lower, SIGNATURES), Suspicion::Url),
        (|_, lower| any(lower, STACK_TRACES), Suspicion::StackTrace),
        (|_, lower| is_sql(lower), Suspicion::Sql),
        (|_, lower| is_payload(lower), Suspicion::Payload),
        (|_, lower| is_mail_address(lower), Suspicion::Address),
        (|text, _| has_random_run(text), Suspicion::Random),
    ];
    checks.into_iter().find(|(looks_like, _)| looks_like(text, lower)).map(|(_, what)| what)
}

const PRIVATE_KEYS: &[&str] = &["-----begin", "private key", "age-secret-key-", "putty-user-key"];

/// What tokens of well-known services begin with, ours among them, and how many more characters
/// follow at least.
const TOKENS: &[(&str, usize)] = &[
    ("ghp_", 12),
    ("gho_", 12),
    ("ghu_", 12),
    ("ghs_", 12),
    ("ghr_", 12),
    ("github_pat_", 8),
    ("glpat-", 8),
    ("gldt-", 8),
    ("glrt-", 8),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xapp-", 8),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("sk-ant-", 8),
    ("sk-proj-", 8),
    ("sk-", 32),
    ("whsec_", 8),
    ("rl_admin_", 8),
    ("rll_live_", 8),
    ("rll_test_", 8),
    ("akia", 16),
    ("asia", 16),
    ("aiza", 30),
    ("ya29.", 8),
    ("gocspx-", 8),
    ("npm_", 30),
    ("hf_", 30),
    ("pypi-age", 8),
    ("dop_v1_", 16),
    ("hvs.", 16),
    ("hvb.", 16),
    ("sg.", 30),
    ("shpat_", 16),
    ("lin_api_", 16),
    ("nrak-", 16),
    ("dckr_pat_", 8),
    ("crates_io_", 16),
    ("bearer ", 8),
    ("basic ", 8),
    // A JSON object in base64: a web token, whole or in part.
    ("eyj", 16),
];

fn is_token(text: &str, lower: &str) -> bool {
    let begins = |(prefix, more): &(&str, usize)| {
        lower.match_indices(prefix).any(|(at, _)| {
            let before = lower[..at].chars().next_back();
            let after = &lower[at + prefix.len()..];
            let length = after.bytes().take_while(|byte| is_token_byte(*byte)).count();
            !before.is_some_and(char::is_alphanumeric) && length >= *more
        })
    };
    TOKENS.iter().any(begins) || is_bot_token(text)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-+/=".contains(&byte)
}

/// `digits:35 characters`, as chat bots have it.
fn is_bot_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(id, secret)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        (8..=12).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && (30..=40).contains(&secret.len())
            && secret.bytes().all(plain)
    })
}

const SIGNATURES: &[&str] = &[
    "x-amz-",
    "x-goog-",
    "awsaccesskeyid",
    "sharedaccesssignature",
    "signature=",
    "&sig=",
    "?sig=",
    "&se=",
    "?se=",
    "expires=",
];

/// What stands before a secret, where a `=` or a `:` follows.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "accountkey",
    "sharedaccesskey",
    "private_key",
    "credential",
    "authorization",
    "cookie",
    "jsessionid",
    "phpsessid",
    "pgpassword",
];

fn is_credentials(lower: &str) -> bool {
    let named = |name: &&str| {
        lower.match_indices(*name).any(|(at, _)| {
            let after = lower[at + name.len()..].trim_start_matches(['"', '\'', ' ', 's']);
            let value = after.strip_prefix(['=', ':']).map(str::trim_start);
            value.is_some_and(|value| !value.is_empty())
        })
    };
    SECRET_NAMES.iter().any(named) || is_connection_string(lower) || is_user_info(lower)
}

/// `server=…;uid=…`, `host=… user=…`.
fn is_connection_string(lower: &str) -> bool {
    const NAMES: &[&str] = &["server=", "host=", "data source=", "user id=", "uid=", "user="];
    NAMES.iter().filter(|name| lower.contains(**name)).count() >= 2
}

/// `user:password@host`. A digest after the `@` is that of an image, and no host.
fn is_user_info(lower: &str) -> bool {
    lower.split_once('@').is_some_and(|(before, after)| {
        let user = before.rsplit('/').next().unwrap_or_default();
        let (name, password) = user.split_once(':').unwrap_or_default();
        !name.is_empty() && !password.is_empty() && !after.starts_with("sha256:")
    })
}

const DATABASE_ERRORS: &[&str] = &[
    "sqlstate",
    "ora-0",
    "syntax error",
    "incorrect syntax",
    "duplicate key value",
    "duplicate entry",
    "violates ",
    "constraint failed",
    "relation \"",
    "column \"",
    "unknown column",
    "no such table",
    "no such column",
    "table or view does not exist",
    "doesn't exist",
    "permission denied for",
    "canceling statement",
    "deadlock detected",
    "deadlock found",
    "lock wait timeout",
    "could not serialize",
    "current transaction is aborted",
    "invalid input syntax",
    "data too long for column",
    "value too long for type",
    "out of range for type",
    "password authentication failed",
    "access denied for user",
    "too many connections",
    "database is locked",
    "near \"",
    "sqlite_",
    "psycopg",
    "pg::",
    "sqlalchemy",
    "pdoexception",
    "queryexception",
    "mysql server",
    "com.mysql",
    "org.postgresql",
    "error returned from database",
];

const STACK_TRACES: &[&str] = &[
    "traceback",
    "stack trace",
    "stacktrace",
    "panicked at",
    "exception in thread",
    "caused by:",
    "exception:",
    ".java:",
    ".py\", line",
    ".php:",
    ".php(",
    ".rs:",
    ".js:",
    ".go:",
    ".rb:",
    "#0 ",
    " at com.",
    " at org.",
    "at object.",
];

fn is_sql(lower: &str) -> bool {
    const PAIRS: &[(&str, &str)] = &[
        ("select ", " from "),
        ("insert ", "into "),
        ("update ", " set "),
        ("delete ", "from "),
        ("drop ", "table"),
        ("alter ", "table"),
        ("union ", "select"),
        ("where ", "="),
        ("truncate ", "table"),
    ];
    let pair = |(first, then): &(&str, &str)| {
        lower.find(first).is_some_and(|at| lower[at + first.len() - 1..].contains(then.trim_end()))
    };
    PAIRS.iter().any(pair) || lower.contains("';") || lower.contains("--;")
}

fn is_payload(lower: &str) -> bool {
    const PARTS: &[&str] =
        &["\":", "={", "[{", "<?xml", "</", "<html", ";base64", "base64,", "a:1:{", "\\u00", "\\x"];
    let begins = lower.trim_start().starts_with(['{', '[', '<']);
    let lines = lower.contains(['\n', '\r', '\t', '\0']);
    let query = lower.matches('=').count() >= 2 && lower.contains(['&', ';']);
    let prose = lower.split_whitespace().count() > 6;
    begins || lines || query || prose || any(lower, PARTS)
}

fn is_mail_address(lower: &str) -> bool {
    lower.split_once('@').is_some_and(|(name, host)| {
        let host: &str = host
            .split(|c: char| !(c.is_alphanumeric() || "-.".contains(c)))
            .next()
            .unwrap_or_default();
        !name.is_empty() && host.split_once('.').is_some_and(|(a, b)| !a.is_empty() && b.len() > 1)
    })
}

/// A long run of letters and digits that change places as no word does: secrets in base62 and
/// base64. Hashes and UUIDs are hexadecimal, and pass.
fn has_random_run(text: &str) -> bool {
    let run_byte = |c: char| c.is_ascii_alphanumeric() || "+/_-=".contains(c);
    text.split(|c: char| !run_byte(c)).any(is_random)
}

fn is_random(run: &str) -> bool {
    const SHORTEST: usize = 28;
    let plain: Vec<u8> = run.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let hexadecimal = plain.iter().all(u8::is_ascii_hexdigit);
    if plain.len() < SHORTEST || hexadecimal || !plain.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let changes = plain.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    // Of random letters and digits more than half differ in kind from their neighbour.
    changes * 10 >= plain.len() * 3
}

fn any(lower: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| lower.contains(part))
}

/// The text with `%xx` of plain characters read, as often as it takes, so that nothing hides in
/// them.
fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..3 {
        let read = unescaped_once(&text);
        if read == text {
            break;
        }
        text = read;
    }
    text
}

fn unescaped_once(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                out.push(char::from(code));
                out.push_str(&part[2..]);
            }
            None => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    out
}
