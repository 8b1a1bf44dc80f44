//! Messages written down octet by octet.

/// The octets of a text in hex; blanks only please the eye.
pub(crate) fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "half an octet in {hex:?}");
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A message of this type.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap();
    [&[0xFF; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

/// An OPEN of AS 64513 at 10.0.0.11 with a hold time of 90 s and these capabilities.
pub(crate) fn opening(capabilities: &str) -> Vec<u8> {
    opening_of("FC01 005A 0A00000B", capabilities)
}

/// The same with this hold time, both families and the AS in four octets, and these capabilities besides.
pub(crate) fn both_families(hold_time: u16, more: &str) -> Vec<u8> {
    let capabilities = format!("01 04 00010001 01 04 00020001 41 04 0000FC01 {more}");
    opening_of(&format!("FC01 {hold_time:04X} 0A00000B"), &capabilities)
}

/// An OPEN: AS, hold time and identifier, and all capabilities in one parameter.
pub(crate) fn opening_of(fixed: &str, capabilities: &str) -> Vec<u8> {
    let capabilities = octets(capabilities);
    let length = u8::try_from(capabilities.len()).unwrap();
    message(1, &[vec![4], octets(fixed), vec![length + 2, 2, length], capabilities].concat())
}

/// An UPDATE of three fields.
pub(crate) fn update(withdrawn: &str, attributes: &[&str], nlri: &str) -> Vec<u8> {
    let (withdrawn, attributes) = (octets(withdrawn), octets(&attributes.concat()));
    message(2, &[with_length(&withdrawn), with_length(&attributes), octets(nlri)].concat())
}

/// A NOTIFICATION.
pub(crate) fn notification(code: u8, subcode: u8, data: &[u8]) -> Vec<u8> {
    message(3, &[&[code, subcode], data].concat())
}

/// The UPDATEs among messages, in an order of their own.
pub(crate) fn updates(mut messages: &[u8]) -> Vec<Vec<u8>> {
    let mut updates = Vec::new();
    while let [.., high, low, kind] = messages[..messages.len().min(19)] {
        let (one, rest) = messages.split_at(usize::from(u16::from_be_bytes([high, low])));
        updates.extend((kind == 2).then(|| one.to_vec()));
        messages = rest;
    }
    updates.sort();
    updates
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
