//! Path attributes: whatever stands in them, reading them is a function of their octets and of nothing else.

use bgpd::wire::{AttributeBytes, Message, ParsedAttributes, Treatment, decode};

use crate::wire::{answer, context};

/// Every attribute with a value that is kept, and errors: what must not shine through when it is read over.
const BEFORE: &[u8] = include_bytes!("../corpus/wire/update-every-attribute");

/// The attributes of an UPDATE. The first octet says what the session has negotiated, the second whether the message
/// announces anything of its own.
pub fn attributes(input: &[u8]) {
    let Some((&[negotiated, announces], bytes)) = input.split_first_chunk() else { return };
    let context = context(negotiated);
    let nlri: &[u8] = if announces & 1 == 1 { &[8, 10] } else { &[] };
    let length = 19 + 4 + bytes.len() + nlri.len();
    let (Ok(length), Ok(attributes)) = (u16::try_from(length), u16::try_from(bytes.len())) else { return };
    let frame = [&[0xFF; 16], &length.to_be_bytes()[..], &[2, 0, 0], &attributes.to_be_bytes(), bytes, nlri].concat();
    match decode(&frame, &context) {
        Ok(Message::Update(update)) => {
            let parsed = update.attributes.parse(&context);
            is_sane(&parsed);
            let mut over = before(&context);
            update.attributes.parse_into(&context, &mut over);
            is_same(&parsed, &over);
            assert_eq!(parsed.errors, over.errors);

            // What is kept is read again from its key.
            let mut key = Vec::new();
            update.attributes.key(&mut key);
            if parsed.treatment() < Some(Treatment::TreatAsWithdraw) {
                is_same(&parsed, &AttributeBytes::from_key(&key).parse(&context));
            }
        }
        Ok(message) => panic!("{message:?} from an UPDATE"),
        Err(error) => answer(&error),
    }
}

/// What another UPDATE has left.
fn before(context: &bgpd::wire::Context) -> ParsedAttributes {
    match decode(&BEFORE[1..], context) {
        Ok(Message::Update(update)) => update.attributes.parse(context),
        _ => ParsedAttributes::default(),
    }
}

fn is_same(one: &ParsedAttributes, other: &ParsedAttributes) {
    assert_eq!(one.treatment(), other.treatment());
    assert_eq!((one.next_hop, one.announces), (other.next_hop, other.announces));
    if one.treatment() < Some(Treatment::TreatAsWithdraw) {
        assert_eq!(one.attributes, other.attributes);
    }
}

fn is_sane(parsed: &ParsedAttributes) {
    let attributes = &parsed.attributes;
    assert!(attributes.communities.is_sorted_by(|left, right| left < right));
    assert!(attributes.extended_communities.is_sorted_by(|left, right| left < right));
    assert!(attributes.large_communities.is_sorted_by(|left, right| left < right));
    assert!(attributes.unknown.is_sorted_by(|left, right| left.code < right.code));
    assert_eq!(attributes.as_path.iter().count(), attributes.as_path.length() as usize);
    assert!(parsed.errors.iter().all(|error| !error.to_string().is_empty()));
}
