//! The tables, one file each: names of columns, definitions, indexes, and the predicates that partial indexes share with
//! the queries they serve.

use sea_query::{
    ColumnDef, ConditionalStatement, Expr, ExprTrait, Index, IndexCreateStatement, Table, TableCreateStatement,
};

pub(crate) mod commit;
pub(crate) mod credential;
pub(crate) mod host;
pub(crate) mod job;
pub(crate) mod migration;
pub(crate) mod organisation;
pub(crate) mod push_target;
pub(crate) mod recorded_ref;
pub(crate) mod ref_update;
pub(crate) mod repository;
pub(crate) mod storage;
pub(crate) mod task;
pub(crate) mod upkeep;

/// Defines the names of a table and its columns.
macro_rules! names {
    ($table:literal { $($name:ident = $column:literal),+ $(,)? }) => {
        pub(crate) const TABLE: &str = $table;
        $(pub(crate) const $name: &str = $column;)+
        /// Every column, to be selected; not all tables are read whole.
        #[allow(dead_code)]
        pub(crate) const ALL: &[&str] = &[$($name),+];
    };
}
use names;

/// A table that does not refer to another database's.
fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

/// A number that the database gives, rising and never given twice, not even after a deletion.
fn generated_id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().auto_increment().primary_key().to_owned()
}

fn int(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().to_owned()
}

fn opt_int(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().to_owned()
}

fn boolean(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().to_owned()
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().to_owned()
}

fn opt_text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().to_owned()
}

fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().to_owned()
}

fn opt_bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().to_owned()
}

/// Text that is one of the names of a closed enumeration.
///
/// Kinds of errors are left open: during an upgrade one process may read what a newer one wrote.
fn one_of(mut column: ColumnDef, names: impl IntoIterator<Item = &'static str>) -> ColumnDef {
    let name = column.get_column_name();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    column.check(Expr::col(name).is_in(names)).to_owned()
}

/// An index named by its purpose.
fn index(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

/// An index of those rows that meet a condition.
fn partial(table: &'static str, name: &'static str, columns: &[&'static str], condition: Expr) -> IndexCreateStatement {
    index(table, name, columns).and_where(condition).to_owned()
}

/// A condition without parameters: a partial index serves a query only if its condition stands in the query word for
/// word.
pub(crate) fn literal(condition: impl Into<String>) -> Expr {
    Expr::cust(condition.into())
}
