//! The schema, word for word as it was published.
//!
//! A migration that was published never changes, also not because an enumeration it lists got another member: that is a
//! migration of its own. `GITSYNC_UPDATE_SCHEMA=1` writes the files anew; look at what it did before you commit it.

use std::path::Path;

use gitsync_sql::{Dialect, migrations};
use sha2::{Digest, Sha256};

#[test]
fn migrations_are_as_they_were_published() {
    for (dialect, name) in [(Dialect::Sqlite, "sqlite.sql"), (Dialect::Postgres, "postgres.sql")] {
        let mut schema = String::new();
        for migration in migrations() {
            schema.push_str(&format!("-- {}: {}\n", migration.version, migration.name));
            for statement in migration.statements(dialect) {
                schema.push_str(&statement.replace(", \"", ",\n    \""));
                schema.push_str(";\n");
            }
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema").join(name);
        if std::env::var_os("GITSYNC_UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &schema).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(schema == published, "{name} is not what was published; see the head of this test\n{schema}");
    }
}

/// The first migration is fixed: from now on every change of the schema is a new migration behind it. If this fails, take
/// back what changed its text, and do not write the digest anew: databases that were made before would lack the change.
#[test]
fn the_first_migration_never_changes() {
    for (dialect, published) in [
        (Dialect::Sqlite, "8512a50edcf7c7e2ae35bc543081f4db5a8f1e292547cdf1d955e3da2b694c90"),
        (Dialect::Postgres, "2cfbbca1727dae664c5e30f538ff827fdbf04dd6bd2721046e566900ddd1f7e1"),
    ] {
        let digest = Sha256::digest(migrations()[0].statements(dialect).join(";\n"));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, published, "{dialect:?}");
    }
}

#[test]
fn versions_rise_without_gaps() {
    let versions: Vec<_> = migrations().iter().map(|migration| migration.version).collect();
    assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>());
}
