//! What the database does to carry a statement out.

use std::fmt::Write as _;

use gitsync_sql::{Array, Statement, Value};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// How a statement was carried out.
#[derive(Debug)]
pub(crate) struct Done {
    /// The plan, for a person to read.
    pub(crate) plan: String,
    /// The pages that were looked at.
    pub(crate) pages: i64,
    pub(crate) milliseconds: f64,
}

/// Carries a statement out and takes back what it did. A prepared statement has a plan for its values, or one for all
/// values: `plan_cache_mode` decides which.
pub(crate) async fn explain(connection: &mut PgConnection, statement: &Statement, plan_cache_mode: &str) -> Done {
    let mut transaction = connection.begin().await.expect("a transaction");
    let types: Vec<_> = statement.values.iter().map(type_name).collect();
    let types = if types.is_empty() { String::new() } else { format!("({})", types.join(", ")) };
    let values: Vec<_> =
        statement.values.iter().map(|value| format!("{}::{}", literal(value), type_name(value))).collect();
    let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    let prepare = format!("SET LOCAL plan_cache_mode = {plan_cache_mode}; PREPARE tried {types} AS {}", statement.sql);
    transaction.execute(AssertSqlSafe(prepare)).await.expect("the statement is one");
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING FALSE) EXECUTE tried {values}");
    // As text, because the driver would prepare what is prepared.
    let lines = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *transaction).await.expect("a plan");
    let plan: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
    transaction.execute("ROLLBACK; DEALLOCATE tried; BEGIN").await.expect("it is taken back");
    transaction.rollback().await.expect("it is taken back");
    Done { pages: pages(&plan), milliseconds: milliseconds(&plan), plan: plan.join("\n") }
}

/// The pages that the first step, so all, looked at: `Buffers: shared hit=7 read=3 dirtied=1`.
fn pages(plan: &[String]) -> i64 {
    let steps = plan.iter().take_while(|line| !line.starts_with("Planning"));
    let Some(line) = steps.map(|line| line.trim()).find(|line| line.starts_with("Buffers: shared")) else { return 0 };
    let counts = line.split([' ', ',']).filter_map(|word| word.split_once('='));
    counts.filter(|(what, _)| ["hit", "read"].contains(what)).map(|(_, count)| count.parse().unwrap_or(i64::MAX)).sum()
}

fn milliseconds(plan: &[String]) -> f64 {
    let time = plan.iter().find_map(|line| line.strip_prefix("Execution Time: ")?.strip_suffix(" ms"));
    time.and_then(|time| time.parse().ok()).unwrap_or(f64::NAN)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "bigint",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytea",
        Value::Array(Array::Bool(_)) => "bool[]",
        Value::Array(Array::Int(_)) => "bigint[]",
        Value::Array(Array::Text(_)) => "text[]",
        Value::Array(Array::Bytes(_)) => "bytea[]",
    }
}

/// Writes a value out. There are none here from elsewhere.
fn literal(value: &Value) -> String {
    match value {
        Value::Bool(value) => written(value, bool::to_string),
        Value::Int(value) => written(value, i64::to_string),
        Value::Text(value) => written(value, |value| format!("'{value}'")),
        Value::Bytes(value) => written(value, |value| hex(value)),
        Value::Array(Array::Bool(values)) => array(values, bool::to_string),
        Value::Array(Array::Int(values)) => array(values, i64::to_string),
        Value::Array(Array::Text(values)) => array(values, |value| format!("'{value}'")),
        Value::Array(Array::Bytes(values)) => array(values, |value| hex(value)),
    }
}

fn written<T>(value: &Option<T>, write: impl Fn(&T) -> String) -> String {
    value.as_ref().map_or("NULL".into(), write)
}

fn array<T>(values: &[Option<T>], write: impl Fn(&T) -> String) -> String {
    let values: Vec<_> = values.iter().map(|value| written(value, &write)).collect();
    format!("ARRAY[{}]", values.join(", "))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::from("'\\x");
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes it"));
    text + "'"
}
