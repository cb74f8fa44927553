//! Values as they go into statements and come out of rows, whatever the database calls their types.

use gitsync_core::Timestamp;
use gitsync_core::model::{ObjectId, TaskId};
use gitsync_core::{Error, ErrorKind, Result};

/// A value of one of the few types that the schema uses. A missing one keeps its type, which Postgres wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// True or false; SQLite stores 1 or 0.
    Bool(Option<bool>),
    /// Every number, and every moment in microseconds since the epoch.
    Int(Option<i64>),
    /// Text, which never holds NUL.
    Text(Option<String>),
    /// Object ids, task ids, reference names and digests.
    Bytes(Option<Vec<u8>>),
}

impl Value {
    /// Tells whether the value is missing.
    pub fn is_null(&self) -> bool {
        match self {
            Value::Bool(value) => value.is_none(),
            Value::Int(value) => value.is_none(),
            Value::Text(value) => value.is_none(),
            Value::Bytes(value) => value.is_none(),
        }
    }
}

/// Defines how a type of the domain becomes a value, alone and as an option.
macro_rules! from {
    ($($type:ty => $variant:ident($value:ident) $convert:expr;)+) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Value::$variant(Some($convert))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Value::$variant(value.map(|$value| $convert))
            }
        }
    )+};
}

from! {
    bool => Bool(value) value;
    i64 => Int(value) value;
    i32 => Int(value) i64::from(value);
    i16 => Int(value) i64::from(value);
    u32 => Int(value) i64::from(value);
    // Counts of bytes and objects: none comes near the bound.
    u64 => Int(value) i64::try_from(value).unwrap_or(i64::MAX);
    usize => Int(value) i64::try_from(value).unwrap_or(i64::MAX);
    Timestamp => Int(value) value.as_micros();
    String => Text(value) value;
    &str => Text(value) value.to_owned();
    Vec<u8> => Bytes(value) value;
    &[u8] => Bytes(value) value.to_owned();
    [u8; 32] => Bytes(value) value.to_vec();
    ObjectId => Bytes(value) value.as_bytes().to_vec();
    TaskId => Bytes(value) value.as_bytes().to_vec();
}

impl From<Value> for sea_query::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(value) => sea_query::Value::Bool(value),
            Value::Int(value) => sea_query::Value::BigInt(value),
            Value::Text(value) => sea_query::Value::String(value),
            Value::Bytes(value) => sea_query::Value::Bytes(value),
        }
    }
}

/// Takes back what sea-query collected while it wrote a statement. Of its many types, only those of ours get in, and those
/// that it uses itself: for limits, and to compare with an empty list.
impl TryFrom<sea_query::Value> for Value {
    type Error = Error;

    fn try_from(value: sea_query::Value) -> Result<Self> {
        match value {
            sea_query::Value::Bool(value) => Ok(Value::Bool(value)),
            sea_query::Value::BigInt(value) => Ok(Value::Int(value)),
            sea_query::Value::BigUnsigned(value) => Ok(Value::from(value)),
            sea_query::Value::Int(value) => Ok(Value::from(value)),
            sea_query::Value::String(value) => Ok(Value::Text(value)),
            sea_query::Value::Bytes(value) => Ok(Value::Bytes(value)),
            other => Err(Error::new(ErrorKind::Internal, "a statement holds a value of a type that no store knows")
                .with("value", format!("{other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_goes_through_sea_query_unchanged() {
        let values = [
            Value::from(true),
            Value::from(-5_i64),
            Value::from("text"),
            Value::from(vec![0_u8, 255]),
            Value::Bool(None),
            Value::Int(None),
            Value::Text(None),
            Value::Bytes(None),
        ];
        for value in values {
            assert_eq!(Value::try_from(sea_query::Value::from(value.clone())).unwrap(), value);
        }
        assert_eq!(Value::try_from(sea_query::Value::BigUnsigned(Some(7))).unwrap(), Value::from(7_i64));
        assert_eq!(Value::try_from(sea_query::Value::Float(None)).unwrap_err().kind(), ErrorKind::Internal);
    }
}
