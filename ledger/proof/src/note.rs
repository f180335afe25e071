//! Signed notes (C2SP signed-note): a text, and signatures that anybody may add to.
//!
//! Signatures of keys that the reader does not know are passed over, whatever their kind: that is
//! how keys are replaced, and how witnesses add theirs. A signature of a known key must hold.

use std::fmt;

use ed25519_dalek::{Signature as Ed25519, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::text;

/// Most bytes of a note. Signatures of 5 kB each fit in, twenty of them.
pub const MOST_BYTES: usize = 256 * 1024;
/// Most signatures of a note.
pub const MOST_SIGNATURES: usize = 64;

/// A note that was read and not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed, with its last newline.
    pub text: String,
    /// Who claims to have signed it.
    pub signatures: Vec<Signature>,
}

/// A signature as it stands in a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub name: String,
    /// The first bytes of a hash of the key.
    pub id: u32,
    /// What follows the id: for the two kinds that are known here, 64 and 72 bytes.
    pub bytes: Vec<u8>,
}

/// What kind of signature a key makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ed25519 over the text: the log's own (type 0x01).
    Ed25519,
    /// Ed25519 over the text and a time: a witness's (type 0x04).
    Cosignature,
}

/// A public key and its name: what a reader trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: Kind,
    key: VerifyingKey,
}

/// A private key and its name.
#[derive(Clone)]
pub struct SignerKey {
    name: String,
    kind: Kind,
    key: SigningKey,
}

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// Whose it is.
    pub key: &'a VerifierKey,
    /// When a witness signed, in seconds since 1970.
    pub time: Option<u64>,
}

/// Why bytes are no note, or no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is longer than any note.
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLong,
    /// It is not text, or holds control characters.
    #[error("it is not plain text")]
    NotText,
    /// It has no signatures, or what stands in their place is none.
    #[error("it does not end in signatures")]
    NoSignatures,
    /// It has more signatures than any note.
    #[error("it has more than {MOST_SIGNATURES} signatures")]
    TooMany,
    /// A line among the signatures is none.
    #[error("line {0} of its signatures is no signature")]
    BadLine(usize),
    /// A key is not written as keys are.
    #[error("it is no key in the form name+id+base64")]
    BadKey,
    /// A key whose id is not that of its name and bytes.
    #[error("its id is {said}, and by its name and bytes it is {is}")]
    WrongId {
        /// The id that it says.
        said: String,
        /// The id that it has.
        is: String,
    },
    /// A key of a kind that is not known here.
    #[error("a key of type {0:#04x} is not known here")]
    UnknownKind(u8),
    /// A known key that did not make what stands under its name.
    #[error("the signature of {0} does not hold")]
    Invalid(String),
}

impl Note {
    /// Reads a note. Nothing of it is believed.
    ///
    /// # Errors
    /// If it is no note.
    pub fn parse(bytes: &[u8]) -> Result<Note, NoteError> {
        if bytes.len() > MOST_BYTES {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::NotText);
        }
        let end = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let lines = signatures.split('\n').enumerate();
        let signatures: Vec<Signature> = lines
            .map(|(number, line)| signature(line).ok_or(NoteError::BadLine(number + 1)))
            .take(MOST_SIGNATURES + 1)
            .collect::<Result<_, _>>()?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(NoteError::TooMany);
        }
        Ok(Note { text: text.to_owned(), signatures })
    }

    /// `text`, which must end in a newline, signed with `keys`. `time`, in seconds since 1970, is
    /// that of cosignatures.
    pub fn sign(text: &str, keys: &[&SignerKey], time: u64) -> Note {
        let signatures = keys.iter().map(|key| key.sign(text, time)).collect();
        Note { text: text.to_owned(), signatures }
    }

    /// The signatures that hold, of those that `keys` made.
    ///
    /// # Errors
    /// If one of `keys` is named as the maker of a signature that does not hold.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<Held<'k>>, NoteError> {
        let mut held = Vec::new();
        for key in keys {
            for signature in self.signatures.iter().filter(|one| key.made(one)) {
                let time = key
                    .check(&self.text, &signature.bytes)
                    .ok_or_else(|| NoteError::Invalid(key.to_string()))?;
                held.push(Held { key, time });
            }
        }
        Ok(held)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.to_be_bytes()[..], &self.bytes].concat();
        write!(f, "\u{2014} {} {}", self.name, text::base64(&bytes))
    }
}

/// A line among the signatures.
fn signature(line: &str) -> Option<Signature> {
    let (name, bytes) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = text::bytes(bytes)?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    (is_name(name) && !bytes.is_empty()).then(|| Signature {
        name: name.to_owned(),
        id: u32::from_be_bytes(*id),
        bytes: bytes.to_vec(),
    })
}

/// Whether a key may have this name.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Kind::Ed25519 => 1,
            Kind::Cosignature => 4,
        }
    }

    fn of_byte(byte: u8) -> Result<Kind, NoteError> {
        match byte {
            1 => Ok(Kind::Ed25519),
            4 => Ok(Kind::Cosignature),
            other => Err(NoteError::UnknownKind(other)),
        }
    }
}

/// The id of a key: the first bytes of the hash of its name, its kind and itself.
fn id(name: &str, kind: Kind, public: &[u8]) -> u32 {
    let mut hash = Sha256::new();
    hash.update(name);
    hash.update([b'\n', kind.byte()]);
    hash.update(public);
    let hash: [u8; 32] = hash.finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

impl VerifierKey {
    /// Reads a key in the form `name+id+base64`.
    ///
    /// # Errors
    /// If it is no such key, or of a kind that is not known here.
    pub fn parse(text: &str) -> Result<VerifierKey, NoteError> {
        let (name, said, kind, key) = parts(text)?;
        let public = key.try_into().map_err(|_| NoteError::BadKey)?;
        let key = VerifyingKey::from_bytes(&public).map_err(|_| NoteError::BadKey)?;
        let key = VerifierKey { name: name.to_owned(), kind, key };
        key.check_id(said)?;
        Ok(key)
    }

    /// Its name: the origin of the log, or the name of the witness.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of signature it makes.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        id(&self.name, self.kind, self.key.as_bytes())
    }

    /// The key itself: two names of it are one key.
    pub fn public(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether a signature names this key.
    pub fn made(&self, signature: &Signature) -> bool {
        signature.id == self.id() && signature.name == self.name
    }

    /// Whether a signature is one of this key that was altered, or stands under an altered text or name.
    pub(crate) fn is_altered(&self, note: &Note, signature: &Signature) -> bool {
        let holds = self.check(&note.text, &signature.bytes).is_some();
        // The id alone is short enough to be that of another key by chance, and the name is that of all
        // keys of a log.
        holds != self.made(signature)
            && (holds || (signature.id == self.id() && signature.name == self.name))
    }

    fn check_id(&self, said: &str) -> Result<(), NoteError> {
        let is = format!("{:08x}", self.id());
        if is == said { Ok(()) } else { Err(NoteError::WrongId { said: said.to_owned(), is }) }
    }

    /// The time of a signature over `text`, if it holds; none inside where it has no time.
    #[expect(clippy::option_option, reason = "a signature that holds may have no time")]
    fn check(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        let holds = |message: &[u8], bytes: &[u8]| {
            let signature = Ed25519::from_slice(bytes).ok()?;
            self.key.verify_strict(message, &signature).ok()
        };
        match self.kind {
            Kind::Ed25519 => holds(text.as_bytes(), signature).map(|()| None),
            Kind::Cosignature => {
                let (time, bytes) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                i64::try_from(time).ok()?;
                holds(cosigned(text, time).as_bytes(), bytes).map(|()| Some(time))
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.kind.byte()][..], self.key.as_bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), text::base64(&bytes))
    }
}

impl SignerKey {
    /// The key that follows from 32 secret random bytes. None if `name` is no name of a key.
    pub fn new(name: &str, kind: Kind, secret: &[u8; 32]) -> Option<SignerKey> {
        let key = SigningKey::from_bytes(secret);
        is_name(name).then(|| SignerKey { name: name.to_owned(), kind, key })
    }

    /// Reads a key in the form `PRIVATE+KEY+name+id+base64`.
    ///
    /// # Errors
    /// If it is no such key.
    pub fn parse(text: &str) -> Result<SignerKey, NoteError> {
        let text = text.strip_prefix("PRIVATE+KEY+").ok_or(NoteError::BadKey)?;
        let (name, said, kind, secret) = parts(text)?;
        let secret = secret.try_into().map_err(|_| NoteError::BadKey)?;
        let key = SignerKey::new(name, kind, &secret).ok_or(NoteError::BadKey)?;
        key.verifier().check_id(said)?;
        Ok(key)
    }

    /// In the form `PRIVATE+KEY+name+id+base64`. It is a secret.
    pub fn to_secret_text(&self) -> String {
        let bytes = [&[self.kind.byte()][..], &self.key.to_bytes()].concat();
        let id = self.verifier().id();
        format!("PRIVATE+KEY+{}+{id:08x}+{}", self.name, text::base64(&bytes))
    }

    /// What others need to check its signatures.
    pub fn verifier(&self) -> VerifierKey {
        let key = self.key.verifying_key();
        VerifierKey { name: self.name.clone(), kind: self.kind, key }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that follows from it for another name: whoever has one of those cannot tell this
    /// one, nor the others. In a trust policy no key may stand for two logs.
    pub fn derive(&self, name: &str) -> Option<SignerKey> {
        let mut hash = Sha256::new();
        hash.update("runledger: a key of its own for each log, 1\n");
        hash.update(self.key.to_bytes());
        hash.update(name);
        SignerKey::new(name, self.kind, &hash.finalize().into())
    }

    /// Its signature under `text`. `time`, in seconds since 1970, is that of a cosignature.
    pub fn sign(&self, text: &str, time: u64) -> Signature {
        let bytes = match self.kind {
            Kind::Ed25519 => self.key.sign(text.as_bytes()).to_bytes().to_vec(),
            Kind::Cosignature => {
                let signature = self.key.sign(cosigned(text, time).as_bytes());
                [&time.to_be_bytes()[..], &signature.to_bytes()].concat()
            }
        };
        Signature { name: self.name.clone(), id: self.verifier().id(), bytes }
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key itself.
        f.debug_struct("SignerKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a witness signs.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// The name, id, kind and bytes of a key in the form `name+id+base64`.
fn parts(text: &str) -> Result<(&str, &str, Kind, Vec<u8>), NoteError> {
    if text.len() > MOST_BYTES {
        return Err(NoteError::BadKey);
    }
    // In base64 there may be a plus.
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(said), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::BadKey);
    };
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !is_name(name) || said.len() != 8 || !said.bytes().all(plain) {
        return Err(NoteError::BadKey);
    }
    let bytes = text::bytes(bytes).ok_or(NoteError::BadKey)?;
    let (kind, key) = bytes.split_first().ok_or(NoteError::BadKey)?;
    Ok((name, said, Kind::of_byte(*kind)?, key.to_vec()))
}

#[cfg(test)]
mod tests;
