//! The header belongs to the source.

use std::path::Path;

/// `LMIC_HEADER=write cargo test -p lmic-c` writes it anew.
#[test]
fn the_header_is_what_cbindgen_makes_of_the_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut made = Vec::new();
    cbindgen::generate(folder).expect("a header").write(&mut made);
    let (made, path) = (String::from_utf8(made).unwrap(), folder.join("include/lmic.h"));
    if std::env::var_os("LMIC_HEADER").is_some_and(|what| what == "write") {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == kept,
        "include/lmic.h is not of this source: LMIC_HEADER=write cargo test -p lmic-c"
    );
}
