//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Talks to a gitsync server.
///
/// REPOSITORY is ORGANISATION/NAME or the number of a repository, TASK the id of a task.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  client create mirrors/bat https://github.com/sharkdp/bat
  client sync mirrors/bat
  client commits mirrors/bat --branch master --limit 5
  client list --json
  client set-credential mirrors github github.com/acme < token

The token is taken from GITSYNC_TOKEN or --token-file, never from the command line, which everybody on the machine can read."
)]
pub(crate) struct Options {
    /// Where the server is
    #[arg(long, global = true, env = "GITSYNC_SERVER", value_name = "URL", default_value = "http://127.0.0.1:50051")]
    pub(crate) server: String,

    /// File that holds the token
    #[arg(long, global = true, env = "GITSYNC_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Certificate of a private authority that the server's is checked against, in PEM
    #[arg(long, global = true, env = "GITSYNC_CA_CERT", value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Print the server's messages as JSON, one object in each line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a repository, and its organisation if there is none: a mirror of SOURCE, or an empty one
    Create {
        /// ORGANISATION/NAME
        name: String,
        /// What to mirror
        source: Option<String>,
        /// What it is, for people
        #[arg(long, default_value = "")]
        description: String,
        /// Whether it may be read without a token, where the server allows that
        #[arg(long)]
        public: bool,
        /// The storage to put it on; the one with most room if it is not given
        #[arg(long, value_name = "NAME")]
        storage: Option<String>,
        /// References of SOURCE to leave out, such as refs/pull/*
        #[arg(long, value_name = "PATTERN")]
        exclude: Vec<String>,
        /// How many generations of commits to fetch; all if it is not given
        #[arg(long, value_name = "N")]
        depth: Option<i32>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Clone a repository from SOURCE, or from its own source
    Migrate {
        repository: String,
        source: Option<String>,
        /// Replace an existing clone
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Bring a repository in step with its source
    Sync {
        repository: String,
        /// Believe a source that lost most of its references
        #[arg(long)]
        accept_shrink: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make the packs of a repository fewer
    Maintain {
        repository: String,
        /// Check before that everything is there which its references lead to
        #[arg(long)]
        verify: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Show how far a task is until it ends
    Watch { task: String },
    /// List organisations
    Organisations,
    /// List repositories
    List {
        /// Only those of this organisation
        organisation: Option<String>,
        /// Only those in this status
        #[arg(long, default_value = "")]
        status: String,
    },
    /// Show a repository
    Show { repository: String },
    /// List the branches of a repository
    Branches { repository: String },
    /// List the commits of a repository, newest first
    Commits {
        repository: String,
        /// Only those that this branch reaches
        #[arg(long, default_value = "")]
        branch: String,
        /// Only those by this author's e-mail address
        #[arg(long, default_value = "")]
        author: String,
        /// Only those committed at or after this second since the epoch
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
        since: Option<i64>,
        /// Only those committed before this second since the epoch
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
        until: Option<i64>,
        /// The most to list
        #[arg(long, default_value = "20")]
        limit: usize,
    },
    /// List the movements of branches and tags, newest first
    Updates {
        repository: String,
        /// The most to list
        #[arg(long, default_value = "20")]
        limit: usize,
    },
    /// List the push targets of a repository
    Targets {
        repository: String,
        /// Push to this address from now on; what is there is overwritten
        #[arg(long, value_name = "URL")]
        add: Option<String>,
        /// Do not push to this address any more
        #[arg(long, value_name = "URL")]
        remove: Option<String>,
    },
    /// List the credentials that an organisation keeps on the server, without their secrets
    Credentials { organisation: String },
    /// Set credentials that an organisation keeps on the server. The secret is piped in or in a file
    SetCredential(NewCredential),
    /// Delete credentials that an organisation keeps on the server
    DeleteCredential { organisation: String, name: String },
    /// List tasks, newest first
    Tasks {
        /// Only those of this repository
        repository: Option<String>,
        /// Only those in this status
        #[arg(long, default_value = "")]
        status: String,
        /// The most to list
        #[arg(long, default_value = "20")]
        limit: usize,
    },
    /// Cancel a task
    Cancel { task: String },
    /// Do again what a task was to do
    Retry {
        task: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Set a repository aside
    Archive { repository: String },
    /// Take an archived repository back
    Unarchive { repository: String },
    /// Delete a repository, its records and its files
    Delete {
        repository: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Count the jobs in the queue
    Queue,
    /// Ask whether the server serves; it needs no token
    Health,
    /// Make a token, and print it with its entry for the server's tokens file
    Token {
        /// Whom it is for
        name: String,
        /// Role in an organisation, or in all of them by the name *
        #[arg(long = "role", value_name = "ORGANISATION=ROLE", required = true)]
        roles: Vec<String>,
    },
}

/// Credentials to set.
#[derive(Debug, Args)]
pub(crate) struct NewCredential {
    pub(crate) organisation: String,
    /// What they are called; those that have the name are replaced
    pub(crate) name: String,
    /// The sources they are for, such as github.com, github.com/acme, *.example.org or git.example.com:8443
    pub(crate) scope: String,
    /// What kind of secret it is
    #[arg(long, value_enum, default_value = "token")]
    pub(crate) kind: SecretKind,
    /// The user of a token or password; most forges do not look at it
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// File that holds the secret
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// File that holds the passphrase of a key
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// A kind of secret.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SecretKind {
    /// A token or password, for https
    Token,
    /// A token for an `Authorization: Bearer` header, for https
    Bearer,
    /// A private key, for ssh
    SshKey,
}

/// Whether to wait for the end of a task.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Do not wait for the end of the task
    #[arg(long)]
    pub(crate) no_wait: bool,
}
