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
    /// Many values in the place of one. Only Postgres has them, and only its statements hold them.
    Array(Array),
}

/// Many values of one type, each of which may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Array {
    /// See [`Value::Bool`].
    Bool(Vec<Option<bool>>),
    /// See [`Value::Int`].
    Int(Vec<Option<i64>>),
    /// See [`Value::Text`].
    Text(Vec<Option<String>>),
    /// See [`Value::Bytes`].
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Value {
    /// Tells whether the value is missing.
    pub fn is_null(&self) -> bool {
        match self {
            Value::Bool(value) => value.is_none(),
            Value::Int(value) => value.is_none(),
            Value::Text(value) => value.is_none(),
            Value::Bytes(value) => value.is_none(),
            Value::Array(_) => false,
        }
    }

    /// Makes one value of many. They have the type of the first.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if there is none, or one of another type.
    pub(crate) fn array(values: impl IntoIterator<Item = Value>) -> Result<Value> {
        let mut values = values.into_iter().peekable();
        /// Takes the values of one type out of all.
        macro_rules! of {
            ($variant:ident) => {
                Array::$variant(
                    values
                        .map(|value| match value {
                            Value::$variant(value) => Ok(value),
                            other => Err(foreign(format!("{other:?}"))),
                        })
                        .collect::<Result<_>>()?,
                )
            };
        }
        Ok(Value::Array(match values.peek() {
            Some(Value::Bool(_)) => of!(Bool),
            Some(Value::Int(_)) => of!(Int),
            Some(Value::Text(_)) => of!(Text),
            Some(Value::Bytes(_)) => of!(Bytes),
            other => return Err(foreign(format!("{other:?}"))),
        }))
    }
}

fn foreign(value: String) -> Error {
    Error::new(ErrorKind::Internal, "a statement holds a value of a type that no store knows").with("value", value)
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
            Value::Array(array) => array.into(),
        }
    }
}

impl From<Array> for sea_query::Value {
    fn from(array: Array) -> Self {
        use sea_query::ArrayType;
        fn of<T>(
            kind: ArrayType,
            values: Vec<Option<T>>,
            value: fn(Option<T>) -> sea_query::Value,
        ) -> sea_query::Value {
            sea_query::Value::Array(kind, Some(Box::new(values.into_iter().map(value).collect())))
        }
        match array {
            Array::Bool(values) => of(ArrayType::Bool, values, sea_query::Value::Bool),
            Array::Int(values) => of(ArrayType::BigInt, values, sea_query::Value::BigInt),
            Array::Text(values) => of(ArrayType::String, values, sea_query::Value::String),
            Array::Bytes(values) => of(ArrayType::Bytes, values, sea_query::Value::Bytes),
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
            sea_query::Value::Array(_, Some(values)) => {
                Value::array(values.into_iter().map(Value::try_from).collect::<Result<Vec<_>>>()?)
            }
            other => Err(foreign(format!("{other:?}"))),
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
            Value::array([Value::from("a"), Value::Text(None)]).unwrap(),
            Value::array([Value::Bytes(None), Value::from(vec![7_u8])]).unwrap(),
        ];
        for value in values {
            assert_eq!(Value::try_from(sea_query::Value::from(value.clone())).unwrap(), value);
        }
        assert_eq!(Value::try_from(sea_query::Value::BigUnsigned(Some(7))).unwrap(), Value::from(7_i64));
        assert_eq!(Value::try_from(sea_query::Value::Float(None)).unwrap_err().kind(), ErrorKind::Internal);
    }

    #[test]
    fn an_array_has_values_of_one_type() {
        assert_eq!(
            Value::array([1_i64.into(), Value::Int(None)]).unwrap(),
            Value::Array(Array::Int(vec![Some(1), None]))
        );
        assert_eq!(Value::array([1_i64.into(), "a".into()]).unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(Value::array([]).unwrap_err().kind(), ErrorKind::Internal);
    }
}
