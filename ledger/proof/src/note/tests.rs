use super::*;

// From golang.org/x/mod/sumdb/note (BSD-3-Clause, The Go Authors): keys and lines of its tests.
const SECRET: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETERS: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCHS: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn peter() -> VerifierKey {
    VerifierKey::parse(PETER).unwrap()
}

#[test]
fn gos_key_makes_the_very_bytes_that_go_makes() {
    let key = SignerKey::parse(SECRET).unwrap();
    assert_eq!(key.to_secret_text(), SECRET);
    assert_eq!(key.verifier().to_string(), PETER);
    assert_eq!(Note::sign(TEXT, &[&key], 0).to_string(), format!("{TEXT}\n{PETERS}"));
    assert!(!format!("{key:?}").contains("AYEK"));
}

#[test]
fn a_key_that_is_written_in_any_other_way_is_refused() {
    for text in [PETER, SECRET] {
        let parse = |text: &str| match text.starts_with("PRIVATE") {
            true => SignerKey::parse(text).map(drop),
            false => VerifierKey::parse(text).map(drop),
        };
        assert_eq!(parse(text), Ok(()));
        for start in 0..text.len() {
            for end in start..=text.len() {
                assert!(start == 0 && end == text.len() || parse(&text[start..end]).is_err());
            }
        }
        for place in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] += 1;
            assert!(parse(std::str::from_utf8(&bytes).unwrap()).is_err(), "{place}");
        }
    }
    // The first has too many bytes, the second is of an unknown kind; their ids are right.
    let long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    assert!(VerifierKey::parse(long).is_err());
    let kind = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(VerifierKey::parse(kind), Err(NoteError::UnknownKind(0x65)));
}

#[test]
fn known_signatures_must_hold_and_unknown_ones_are_passed_over() {
    let bytes = format!("{TEXT}\n{PETERS}{ENOCHS}");
    let note = Note::parse(bytes.as_bytes()).unwrap();
    assert_eq!(note.to_string(), bytes);
    let (peter, enoch) = (peter(), VerifierKey::parse(ENOCH).unwrap());
    assert_eq!(note.verify([&peter]).unwrap(), [Held { key: &peter, time: None }]);
    assert_eq!(note.verify([&peter, &enoch]).unwrap().len(), 2);
    assert_eq!(note.verify([]).unwrap(), []);
    let forged = bytes.replace("problem is", "solution is");
    let forged = Note::parse(forged.as_bytes()).unwrap();
    assert_eq!(forged.verify([&peter]), Err(NoteError::Invalid(PETER.to_owned())));
    let other_kind = format!("{TEXT}\n{PETERS}\u{2014} pq.example {}\n", text::base64(&[6; 5_000]));
    let note = Note::parse(other_kind.as_bytes()).unwrap();
    assert_eq!(note.verify([&peter]).unwrap().len(), 1);
}

#[test]
fn what_is_no_note_is_refused() {
    let lines = PETERS.repeat(MOST_SIGNATURES);
    assert!(Note::parse(format!("{TEXT}\n{lines}").as_bytes()).is_ok());
    for bad in [
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n{}", PETERS.trim_end()),
        format!("\u{1}{TEXT}\n{PETERS}"),
        format!("{TEXT}\n{}", PETERS.replace("PeterNeumann", "Bad Name")),
        format!("{TEXT}\n{}", PETERS.replace("PeterNeumann", "Bad+Name")),
        format!("{TEXT}\n{PETERS}Unexpected line.\n"),
        format!("{TEXT}\n{lines}{PETERS}"),
        format!("{}\n{PETERS}", "x\n".repeat(MOST_BYTES)),
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{}", &bad[..40]);
    }
    assert!(Note::parse(&[b"\xff", format!("{TEXT}\n{PETERS}").as_bytes()].concat()).is_err());
}

#[test]
fn a_cosignature_signs_its_time_and_cannot_stand_for_a_signature_of_the_log() {
    let key = SignerKey::new("witness.example/w1", Kind::Cosignature, &[7; 32]).unwrap();
    let note = Note::sign(TEXT, &[&key], 1_679_315_147);
    let verifier = VerifierKey::parse(&key.verifier().to_string()).unwrap();
    assert_eq!(note.verify([&verifier]).unwrap()[0].time, Some(1_679_315_147));
    let mut later = note.clone();
    later.signatures[0].bytes[7] += 1;
    assert!(later.verify([&verifier]).is_err());
    let as_log = SignerKey::new("witness.example/w1", Kind::Ed25519, &[7; 32]).unwrap().verifier();
    assert_eq!(note.verify([&as_log]).unwrap(), []);
    assert_eq!(key.sign(TEXT, 1).bytes.len() + 4, 76);
}

#[test]
fn every_log_has_a_key_of_its_own() {
    let key = SignerKey::parse(SECRET).unwrap();
    let (one, other) = (key.derive("a/1").unwrap(), key.derive("a/2").unwrap());
    assert_ne!(one.verifier().public(), other.verifier().public());
    assert_eq!(one.verifier(), key.derive("a/1").unwrap().verifier());
    assert!(key.derive("no name").is_none());
}
