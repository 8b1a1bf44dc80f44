//! Lists: every bad item is reported; a list of one needs no brackets.

use super::{Value, Written};
use crate::raw::{Node, Wrongs};

impl<T: Value> Value for Vec<T> {
    fn allowed() -> String {
        format!("list: {}", T::allowed())
    }

    fn schema() -> String {
        let item = T::schema();
        format!("\"anyOf\": [{{{item}}}, {{\"type\": \"array\", \"items\": {{{item}}}}}]")
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let (mut values, mut wrongs) = (Vec::new(), Vec::new());
        for item in node.items() {
            match T::read(item) {
                Ok(value) => values.push(value),
                Err(Wrongs(more)) => wrongs.extend(more),
            }
        }
        if wrongs.is_empty() { Ok(values) } else { Err(Wrongs(wrongs)) }
    }
}

impl<T: Written> Written for Vec<T> {
    fn written(&self) -> String {
        let items: Vec<_> = self.iter().map(T::written).collect();
        format!("[{}]", items.join(", "))
    }
}

/// A list that says nothing when it is empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AtLeastOne<T>(pub(crate) Vec<T>);

impl<T: Value> Value for AtLeastOne<T> {
    fn allowed() -> String {
        Vec::<T>::allowed()
    }

    fn schema() -> String {
        let item = T::schema();
        format!("\"anyOf\": [{{{item}}}, {{\"type\": \"array\", \"minItems\": 1, \"items\": {{{item}}}}}]")
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        match Vec::read(node)? {
            empty if empty.is_empty() => Err(node.wrong("is empty", "allowed: at least one").into()),
            items => Ok(Self(items)),
        }
    }
}
