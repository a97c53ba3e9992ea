//! Identities and hashes as people see them.

/// Bytes in hexadecimal, two digits each.
///
/// ```
/// assert_eq!(lmic::hex(&[0, 171]), "00ab");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
