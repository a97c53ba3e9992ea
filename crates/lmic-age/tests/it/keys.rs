//! Who opens what, and what is said to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lmic::ErrorKind;
use lmic_age::{Identities, Padding, Reader, Recipients, SecretString, generate};

use crate::support::{Pair, bytes};

#[test]
fn any_of_several_recipients_opens_it() {
    let (a, b, c) = (generate(), generate(), generate());
    let mut recipients = Recipients::default();
    recipients.add_file(&format!("# two\n{}\n\n  {}  \n", a.1, b.1)).unwrap();
    let file = Pair { recipients, ..Pair::new() }.encrypt(b"x", Padding::None);
    for (secret, opens) in [(&a.0, true), (&b.0, true), (&c.0, false)] {
        let mut identities = Identities::default();
        identities.add("other", generate().0.as_bytes()).unwrap();
        identities.add("key", secret.as_bytes()).unwrap();
        match Reader::new(file.as_slice(), &identities) {
            Ok(_) => assert!(opens),
            Err(error) => {
                assert!(!opens);
                assert_eq!(error.kind(), ErrorKind::WrongKey);
                assert_eq!(
                    error.to_string(),
                    "is encrypted for other keys: none of the identities opens it"
                );
            }
        }
    }
    let error = Reader::new(file.as_slice(), &Identities::default()).unwrap_err();
    assert_eq!(error.to_string(), "is encrypted, and no identity is given");
}

#[test]
fn a_passphrase_is_asked_for_once_and_only_if_it_is_needed() {
    let recipients = Recipients::with_passphrase(SecretString::from("open sesame")).unwrap();
    let file = Pair { recipients, ..Pair::new() }.encrypt(&bytes(1000), Padding::None);
    let asked = Arc::new(AtomicUsize::new(0));
    let ask = |answer: Option<&'static str>| {
        let asked = asked.clone();
        Identities::asking(Arc::new(move |name| {
            assert_eq!(name, None);
            asked.fetch_add(1, Relaxed);
            answer.map(SecretString::from)
        }))
    };
    let right = ask(Some("open sesame"));
    Reader::new(&b"\xb1LMC"[..], &right).unwrap();
    assert_eq!(asked.load(Relaxed), 0);
    Reader::new(file.as_slice(), &right).unwrap();
    Reader::new(file.as_slice(), &right).unwrap();
    assert_eq!(asked.load(Relaxed), 1);
    for (answer, message) in [
        (Some("open barley"), "is encrypted, and the passphrase is wrong"),
        (None, "is encrypted with a passphrase"),
    ] {
        let error = Reader::new(file.as_slice(), &ask(answer)).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::WrongKey, message));
    }
}

#[test]
fn wrong_keys_are_refused_without_being_repeated() {
    let (secret, public) = generate();
    let mut recipients = Recipients::default();
    for text in [
        "",
        "age1",
        "age1qqqq",
        &secret,
        &public[..public.len() - 1],
        "ssh-rsa AAAA",
        "ssh-dss AAAAB3NzaC1kc3MAAAA",
        "ssh-ed25519",
    ] {
        let error = recipients.add(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(text.len() < 12 || !error.to_string().contains(&text[4..12]), "{error}");
    }
    assert!(recipients.add_file("# none\n").is_err());
    let error = recipients.add_file(&format!("{public}\nnonsense\n")).unwrap_err();
    assert!(error.to_string().starts_with("line 2: "), "{error}");
    let mut identities = Identities::default();
    for text in [
        "",
        "# none\n",
        &public,
        "AGE-SECRET-KEY-1CANARY",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY",
        "age-encryption.org/v1\nCANARY",
        "-----BEGIN AGE ENCRYPTED FILE-----\nCANARY",
    ] {
        let error = identities.add("name", text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
    assert!(Recipients::with_passphrase(SecretString::from("")).is_err());
    assert!(Recipients::with_passphrase(SecretString::from("a")).unwrap().add(&public).is_err());
}

#[test]
fn debug_output_has_no_secret() {
    let (secret, public) = generate();
    let mut identities = Identities::with_passphrase(SecretString::from("CANARY"));
    identities.add("key", secret.as_bytes()).unwrap();
    let mut recipients = Recipients::default();
    recipients.add(&public).unwrap();
    assert_eq!(
        format!("{identities:?} {recipients:?}"),
        "Identities { keys: 1 } Recipients { keys: 1, passphrase: false }"
    );
    let recipients = Recipients::with_passphrase(SecretString::from("CANARY")).unwrap();
    assert!(!format!("{recipients:?}").contains("CANARY"));
}
