//! Rows as a database answers them, and typed access that says which column is wrong.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::model::{ObjectId, TaskId};
use gitsync_core::{Error, ErrorKind, Result, Timestamp};

use crate::Value;

/// The names of the columns of an answer, shared by its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Arc<[String]>);

impl Columns {
    /// Creates the names, in the order of the values.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Columns(names.into_iter().collect())
    }
}

/// One row of an answer.
///
/// Text and bytes are moved out when they are read, not copied; each column is read once.
#[derive(Debug)]
pub struct Row {
    columns: Columns,
    values: Vec<Value>,
}

impl Row {
    /// Creates a row of values in the order of the columns.
    pub fn new(columns: Columns, values: Vec<Value>) -> Self {
        Row { columns, values }
    }

    fn slot(&mut self, column: &str) -> Result<&mut Value> {
        let at = self.columns.0.iter().position(|name| name == column);
        at.and_then(|at| self.values.get_mut(at)).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a statement does not answer with a column").with("column", column)
        })
    }

    /// Returns a number that may be missing.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] without the column, [`ErrorKind::Corrupt`] for a value of another type; so do all others.
    pub fn opt_int(&mut self, column: &str) -> Result<Option<i64>> {
        match self.slot(column)? {
            Value::Int(value) => Ok(*value),
            Value::Bool(value) => Ok(value.map(i64::from)),
            other if other.is_null() => Ok(None),
            other => Err(corrupt(column, format!("{other:?} is not a number"))),
        }
    }

    /// Returns a number.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn int(&mut self, column: &str) -> Result<i64> {
        present(column, self.opt_int(column)?)
    }

    /// Returns a number of a narrower type.
    ///
    /// # Errors
    /// As [`Row::opt_int`], also if it does not fit.
    pub fn number<T: TryFrom<i64>>(&mut self, column: &str) -> Result<T> {
        let value = self.int(column)?;
        T::try_from(value).map_err(|_| corrupt(column, format!("{value} is out of range")))
    }

    /// Returns a number of another type, or NULL.
    ///
    /// # Errors
    /// As [`Row::opt_int`], or if the number does not fit.
    pub fn opt_number<T: TryFrom<i64>>(&mut self, column: &str) -> Result<Option<T>> {
        let narrow = |value| T::try_from(value).map_err(|_| corrupt(column, format!("{value} is out of range")));
        self.opt_int(column)?.map(narrow).transpose()
    }

    /// Returns true or false.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn boolean(&mut self, column: &str) -> Result<bool> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(corrupt(column, format!("{other} is neither true nor false"))),
        }
    }

    /// Returns text that may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn opt_text(&mut self, column: &str) -> Result<Option<String>> {
        match self.slot(column)? {
            Value::Text(value) => Ok(value.take()),
            other if other.is_null() => Ok(None),
            other => Err(corrupt(column, format!("{other:?} is not text"))),
        }
    }

    /// Returns text.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn text(&mut self, column: &str) -> Result<String> {
        present(column, self.opt_text(column)?)
    }

    /// Returns bytes that may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn opt_bytes(&mut self, column: &str) -> Result<Option<Vec<u8>>> {
        match self.slot(column)? {
            Value::Bytes(value) => Ok(value.take()),
            other if other.is_null() => Ok(None),
            other => Err(corrupt(column, format!("{other:?} is not bytes"))),
        }
    }

    /// Returns bytes.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn bytes(&mut self, column: &str) -> Result<Vec<u8>> {
        present(column, self.opt_bytes(column)?)
    }

    /// Returns a moment that may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn opt_timestamp(&mut self, column: &str) -> Result<Option<Timestamp>> {
        Ok(self.opt_int(column)?.map(Timestamp::from_micros))
    }

    /// Returns a moment.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn timestamp(&mut self, column: &str) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.int(column)?))
    }

    /// Returns a span of time, stored in microseconds, that may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn opt_duration(&mut self, column: &str) -> Result<Option<Duration>> {
        let micros = self.opt_int(column)?.map(u64::try_from).transpose();
        let micros = micros.map_err(|_| corrupt(column, "a span of time is negative".into()))?;
        Ok(micros.map(Duration::from_micros))
    }

    /// Returns an object id that may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn opt_object_id(&mut self, column: &str) -> Result<Option<ObjectId>> {
        let bytes = self.opt_bytes(column)?;
        let id = bytes.map(|bytes| ObjectId::from_bytes(&bytes)).transpose();
        id.map_err(|error| corrupt(column, error.to_string()))
    }

    /// Returns an object id.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn object_id(&mut self, column: &str) -> Result<ObjectId> {
        present(column, self.opt_object_id(column)?)
    }

    /// Returns a task id that may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn opt_task_id(&mut self, column: &str) -> Result<Option<TaskId>> {
        let Some(bytes) = self.opt_bytes(column)? else { return Ok(None) };
        let id = TaskId::from_bytes(&bytes).ok_or_else(|| corrupt(column, "a task id has 16 bytes".into()))?;
        Ok(Some(id))
    }

    /// Returns a task id.
    ///
    /// # Errors
    /// As [`Row::opt_int`].
    pub fn task_id(&mut self, column: &str) -> Result<TaskId> {
        present(column, self.opt_task_id(column)?)
    }

    /// Returns what a stored text stands for, as `read` understands it; it may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_int`], also if `read` refuses the text.
    pub fn opt_parsed<T, E: fmt::Display>(
        &mut self,
        column: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        let Some(text) = self.opt_text(column)? else { return Ok(None) };
        read(&text).map(Some).map_err(|error| corrupt(column, error.to_string()))
    }

    /// Returns what a stored text stands for, as `read` understands it.
    ///
    /// # Errors
    /// As [`Row::opt_parsed`].
    pub fn parsed<T, E: fmt::Display>(&mut self, column: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Result<T> {
        present(column, self.opt_parsed(column, read)?)
    }

    /// Returns the member of an enumeration whose stable name is stored.
    ///
    /// # Errors
    /// As [`Row::opt_parsed`].
    pub fn named<T>(&mut self, column: &str, from_name: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        present(column, self.opt_named(column, from_name)?)
    }

    /// Returns the member of an enumeration whose stable name is stored; it may be missing.
    ///
    /// # Errors
    /// As [`Row::opt_parsed`].
    pub fn opt_named<T>(&mut self, column: &str, from_name: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        self.opt_parsed(column, |name| from_name(name).ok_or_else(|| format!("{name:?} is not a known name")))
    }
}

fn present<T>(column: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| corrupt(column, "the value is missing".into()))
}

fn corrupt(column: &str, why: String) -> Error {
    Error::new(ErrorKind::Corrupt, "the database holds a value that gitsync does not understand")
        .with("column", column)
        .with("why", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Value) -> Row {
        Row::new(Columns::new(["a".to_owned()]), vec![value])
    }

    #[test]
    fn values_are_read_by_column_and_type() {
        assert_eq!(row(Value::from(5_i64)).number::<u32>("a").unwrap(), 5);
        assert!(row(Value::from(1_i64)).boolean("a").unwrap(), "SQLite has no booleans");
        assert_eq!(row(Value::Bytes(None)).opt_int("a").unwrap(), None, "a missing value has any type");
        assert_eq!(row(Value::from(vec![1; 20])).object_id("a").unwrap(), ObjectId::Sha1([1; 20]));
    }

    #[test]
    fn what_is_wrong_is_corrupt_and_names_its_column() {
        let refused = [
            row(Value::from("x")).int("a").unwrap_err(),
            row(Value::from(-1_i64)).number::<u32>("a").unwrap_err(),
            row(Value::from(2_i64)).boolean("a").unwrap_err(),
            row(Value::Int(None)).int("a").unwrap_err(),
            row(Value::from(vec![1_u8])).object_id("a").unwrap_err(),
            row(Value::from(vec![1_u8])).task_id("a").unwrap_err(),
            row(Value::from("x")).named("a", |_| None::<()>).unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.context().any(|pair| pair == ("column", "a")), "{error}");
        }
        assert_eq!(row(Value::Int(None)).int("b").unwrap_err().kind(), ErrorKind::Internal);
    }
}
