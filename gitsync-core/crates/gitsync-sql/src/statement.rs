//! Statements ready to run, and the shapes that all tables share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gitsync_core::{Error, ErrorKind, Result};
use sea_query::{Expr, Func, OnConflict, Query, ReturningClause};

use crate::{Dialect, Value};

/// A statement in the words of one database, with the values of its placeholders in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text.
    pub sql: Cow<'static, str>,
    /// The values.
    pub values: Vec<Value>,
    /// Whether it is to be kept prepared. It pays where the same text comes again and one plan is right for all values.
    pub recurs: bool,
}

impl Statement {
    /// Creates a statement from text that is written for one database.
    pub fn new(sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        Statement { sql: sql.into(), values, recurs: true }
    }

    /// Returns a statement that is planned anew each time, for its values. What is kept prepared gets one plan for all values
    /// from Postgres after a while: then a limit seems to be a tenth of a table, and a rare value as frequent as others.
    pub(crate) fn planned_anew(self) -> Self {
        Statement { recurs: false, ..self }
    }
}

/// A row to write: columns and their values.
pub(crate) type Record = Vec<(&'static str, Value)>;

/// Returns the columns that differ between a row as it was read and as it is to be.
pub(crate) fn changes(before: Record, after: Record) -> Record {
    debug_assert!(before.iter().map(|(name, _)| name).eq(after.iter().map(|(name, _)| name)));
    before.into_iter().zip(after).filter(|(before, after)| before != after).map(|(_, after)| after).collect()
}

/// Inserts a row.
pub(crate) fn insert(dialect: Dialect, table: &'static str, record: Record) -> Result<Statement> {
    dialect.render(&insertion(table, vec![record]))
}

/// Inserts a row and answers with one of its columns.
pub(crate) fn insert_returning(
    dialect: Dialect,
    table: &'static str,
    record: Record,
    column: &'static str,
) -> Result<Statement> {
    dialect.render(insertion(table, vec![record]).returning_col(column))
}

/// Keeps the last of those that have the same key, in the order of keys: one statement may write a row only once.
pub(crate) fn last_of_each<'a, T, K: Ord + 'a>(
    items: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> impl Iterator<Item = &'a T> {
    items.iter().map(|item| (key(item), item)).collect::<BTreeMap<_, _>>().into_values()
}

/// Inserts many rows that have the same columns, in few statements.
///
/// Statements of full size have the same text, so that the database parses it once; in Postgres all of them.
pub(crate) fn insert_many(
    dialect: Dialect,
    table: &'static str,
    records: Vec<Record>,
    on_conflict: Option<&OnConflict>,
) -> Result<Vec<Statement>> {
    insert_in_parts(dialect, table, records, on_conflict, None)
}

/// Does the same and answers with columns of the rows that are there afterwards.
pub(crate) fn insert_many_returning(
    dialect: Dialect,
    table: &'static str,
    records: Vec<Record>,
    on_conflict: &OnConflict,
    columns: &[&'static str],
) -> Result<Vec<Statement>> {
    let returning = Query::returning().columns(columns.iter().copied());
    insert_in_parts(dialect, table, records, Some(on_conflict), Some(&returning))
}

fn insert_in_parts(
    dialect: Dialect,
    table: &'static str,
    records: Vec<Record>,
    on_conflict: Option<&OnConflict>,
    returning: Option<&ReturningClause>,
) -> Result<Vec<Statement>> {
    let height = match dialect {
        Dialect::Sqlite => MAX_ROWS,
        Dialect::Postgres => MAX_ARRAY,
    };
    let mut statements = Vec::with_capacity(records.len().div_ceil(height));
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        let some: Vec<_> = records.by_ref().take(height).collect();
        let is_full = some.len() == height;
        let mut statement = match dialect {
            Dialect::Sqlite => insertion(table, some),
            Dialect::Postgres => insertion_of_arrays(table, some)?,
        };
        if let Some(on_conflict) = on_conflict {
            statement.on_conflict(on_conflict.clone());
        }
        if let Some(returning) = returning {
            statement.returning(returning.clone());
        }
        let mut statement = dialect.render(&statement)?;
        // Larger ones of odd sizes would only fill the memory of the database.
        statement.recurs = is_full || statement.values.len() <= MAX_KEPT_PARAMETERS;
        statements.push(statement);
    }
    Ok(statements)
}

/// The most rows of one statement in SQLite: from here on larger ones gain nothing. With the columns of the widest table they
/// have fewer parameters than its 32,766.
const MAX_ROWS: usize = 500;

/// The most rows of one statement in Postgres.
const MAX_ARRAY: usize = 5_000;

/// The most parameters of a statement that is kept prepared though it is not of full size.
const MAX_KEPT_PARAMETERS: usize = 500;

/// Inserts rows whose columns come as one array each: the text is the same for any number of them, and the parameters are few.
fn insertion_of_arrays(table: &'static str, records: Vec<Record>) -> Result<sea_query::InsertStatement> {
    let mut columns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for record in records {
        if columns.is_empty() {
            columns.extend(record.iter().map(|(name, _)| (*name, Vec::new())));
        }
        for ((_, column), (_, value)) in columns.iter_mut().zip(record) {
            column.push(value);
        }
    }
    let (mut statement, mut rows) = (Query::insert(), Query::select());
    statement.into_table(table).columns(columns.iter().map(|(name, _)| *name));
    for (_, values) in columns {
        rows.expr(Func::cust("unnest").arg(Expr::from(Value::array(values)?)));
    }
    statement.select_from(rows).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("rows do not have the columns of their table: {error}"))
    })?;
    Ok(statement)
}

fn insertion(table: &'static str, records: Vec<Record>) -> sea_query::InsertStatement {
    let mut statement = Query::insert();
    let columns = records.first().map(|record| record.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    statement.into_table(table).columns(columns.unwrap_or_default());
    for record in records {
        // It panics if a row has another number of values than there are columns, which a record cannot have.
        statement.values_panic(record.into_iter().map(|(_, value)| Expr::from(value)));
    }
    statement
}

/// Sets columns of the rows that meet all of the conditions.
pub(crate) fn update(
    dialect: Dialect,
    table: &'static str,
    changes: Record,
    conditions: impl IntoIterator<Item = Expr>,
) -> Result<Statement> {
    let mut statement = Query::update();
    statement.table(table);
    for (column, value) in changes {
        statement.value(column, value);
    }
    for condition in conditions {
        statement.and_where(condition);
    }
    dialect.render(&statement)
}

/// Deletes the rows that meet all of the conditions.
pub(crate) fn delete(
    dialect: Dialect,
    table: &'static str,
    conditions: impl IntoIterator<Item = Expr>,
) -> Result<Statement> {
    let mut statement = Query::delete();
    statement.from_table(table);
    for condition in conditions {
        statement.and_where(condition);
    }
    dialect.render(&statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_written() {
        let before: Record = vec![("a", 1_i64.into()), ("b", "x".into()), ("c", Value::Int(None))];
        let after: Record = vec![("a", 1_i64.into()), ("b", "y".into()), ("c", 7_i64.into())];
        assert_eq!(changes(before.clone(), after), vec![("b", "y".into()), ("c", 7_i64.into())]);
        assert!(changes(before.clone(), before).is_empty());
    }

    #[test]
    fn many_rows_are_split_into_statements_of_equal_text() {
        let records = (0..2 * MAX_ROWS + 1).map(|n| vec![("a", Value::from(n)), ("b", Value::from("x"))]).collect();
        let statements = insert_many(Dialect::Sqlite, "t", records, None).unwrap();
        let rows: Vec<_> = statements.iter().map(|statement| statement.values.len() / 2).collect();
        assert_eq!(rows, [MAX_ROWS, MAX_ROWS, 1]);
        assert_eq!(statements[0].sql, statements[1].sql);
        assert!(statements.iter().all(|statement| statement.recurs));
        assert!(insert_many(Dialect::Sqlite, "t", Vec::new(), None).unwrap().is_empty());
    }

    #[test]
    fn postgres_takes_each_column_as_one_array() {
        let row = |n: i64| vec![("a", Value::from(n)), ("b", Value::Text((n > 0).then(|| "x".to_owned())))];
        let statements = insert_many(Dialect::Postgres, "t", (0..2).map(row).collect(), None).unwrap();
        let [statement] = statements.as_slice() else { panic!("{statements:?}") };
        assert_eq!(statement.sql, r#"INSERT INTO "t" ("a", "b") SELECT unnest($1), unnest($2)"#);
        let arrays = [
            Value::array([0_i64.into(), 1_i64.into()]).unwrap(),
            Value::array([Value::Text(None), "x".into()]).unwrap(),
        ];
        assert_eq!(statement.values, arrays);
        let many = insert_many(Dialect::Postgres, "t", (0..MAX_ARRAY as i64 + 1).map(row).collect(), None).unwrap();
        assert!(many.len() == 2 && many.iter().all(|many| many.sql == statement.sql && many.recurs));
    }

    #[test]
    fn each_database_gets_its_placeholders() {
        let statement = |dialect| {
            update(dialect, "t", vec![("a", 1_i64.into())], [sea_query::ExprTrait::eq(Expr::col("b"), "x")]).unwrap()
        };
        assert_eq!(statement(Dialect::Sqlite).sql, r#"UPDATE "t" SET "a" = ? WHERE "b" = ?"#);
        assert_eq!(statement(Dialect::Postgres).sql, r#"UPDATE "t" SET "a" = $1 WHERE "b" = $2"#);
        assert_eq!(statement(Dialect::Sqlite).values, [1_i64.into(), "x".into()]);
    }
}
