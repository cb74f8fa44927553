//! Compiles the protocol without `protoc`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).open_file("gitsync/v1/git_repository_service.proto")?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("gitsync.bin"), compiler.encode_file_descriptor_set())?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    // They hold secrets; see `secrets.rs`.
    config.skip_debug(["gitsync.v1.SetCredentialRequest", "gitsync.v1.UserPassword", "gitsync.v1.SshKey"]);
    tonic_prost_build::configure().bytes(".").compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
