//! What sources are accepted, as what, and which are refused by whom.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::error::{ErrorKind, Result};

fn parse(text: &str) -> Result<SourceUrl> {
    SourceUrl::parse(text).map(|parsed| parsed.url)
}

#[test]
fn usable_sources_have_one_canonical_form_and_a_host_key() {
    let table = [
        ("https://GitHub.com/a/b.git", "https://github.com/a/b.git", "github.com"),
        ("HTTPS://github.com:443/a/b/", "https://github.com/a/b", "github.com"),
        ("https://github.com./a/b", "https://github.com/a/b", "github.com"),
        ("https://example.com:8443/a", "https://example.com:8443/a", "example.com"),
        ("https://ghp_abc@example.com/a", "https://example.com/a", "example.com"),
        ("https://bücher.example/é b%c3%a9", "https://xn--bcher-kva.example/%C3%A9%20b%C3%A9", "xn--bcher-kva.example"),
        ("https://example.com/a%2fb%3Fc", "https://example.com/a%2Fb%3Fc", "example.com"),
        ("http://127.0.0.1:8080/a.git", "http://127.0.0.1:8080/a.git", "127.0.0.1"),
        ("http://0177.0.0.1/a", "http://127.0.0.1/a", "127.0.0.1"),
        ("http://2130706433/a", "http://127.0.0.1/a", "127.0.0.1"),
        ("http://127.1/a", "http://127.0.0.1/a", "127.0.0.1"),
        ("http://0x7f.1/a", "http://127.0.0.1/a", "127.0.0.1"),
        ("http://127.0.0.1./a", "http://127.0.0.1/a", "127.0.0.1"),
        ("http://①②⑦.0.0.1/a", "http://127.0.0.1/a", "127.0.0.1"),
        ("ssh://2130706433/a", "ssh://127.0.0.1/a", "127.0.0.1"),
        ("git@0x7f.1:a", "git@127.0.0.1:a", "127.0.0.1"),
        ("https://[::1]/a", "https://[::1]/a", "::1"),
        ("https://[::FFFF:7f00:1]:444/a", "https://127.0.0.1:444/a", "127.0.0.1"),
        ("ssh://git@host:2222/a/b", "ssh://git@host:2222/a/b", "host"),
        ("ssh://git@host:22/a%20b", "ssh://git@host/a%20b", "host"),
        ("ssh://host/~me/a", "ssh://host/~me/a", "host"),
        ("git@host:a/b.git", "git@host:a/b.git", "host"),
        ("git@host:/a/b.git", "ssh://git@host/a/b.git", "host"),
        ("git@host:~me/a", "ssh://git@host/~me/a", "host"),
        ("git@[::1]:a", "git@[::1]:a", "::1"),
        ("git@host:a%b?", "git@host:a%b?", "host"),
        ("git://Host/a", "git://host/a", "host"),
        ("/srv/git/a.git/", "file:///srv/git/a.git", "local-files"),
        ("/srv//git/a b#?.git", "file:///srv/git/a%20b%23%3F.git", "local-files"),
        ("file:///srv/git/a.git", "file:///srv/git/a.git", "local-files"),
        ("file://localhost/srv/a", "file:///srv/a", "local-files"),
    ];
    for (text, canonical, host) in table {
        let url = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.to_string(), canonical, "{text}");
        assert_eq!(url.host_key().as_str(), host, "{text}");
        assert_eq!(canonical.parse::<SourceUrl>().unwrap(), url, "{text}: the canonical form stays as it is");
        assert_eq!(host.parse::<HostKey>().unwrap(), url.host_key());
    }
}

#[test]
fn paths_are_what_the_upstream_is_asked_for() {
    let path = |text: &str| parse(text).expect(text).path().to_owned();
    assert_eq!(path("https://host/a%20b"), "/a%20b");
    assert_eq!(path("ssh://host/a%20b"), "/a b");
    assert_eq!(path("ssh://host/~me/a"), "~me/a");
    assert_eq!(path("git@host:a%20b"), "a%20b");
    assert_eq!(path("file:///a%2520b"), "/a%20b");
    assert_eq!(parse("https://host/a").unwrap().port(), Some(443));
    assert_eq!(
        parse("https://host/a").unwrap().join_suffix("/info/refs?service=git-upload-pack"),
        "https://host/a/info/refs?service=git-upload-pack"
    );
}

/// What is refused before anybody looks at a policy.
#[test]
fn malformed_and_hostile_sources_are_refused_without_repeating_them() {
    let long = format!("https://host/s3cret{}", "a".repeat(2048));
    let table = [
        "",
        "-",
        " ",
        "relative/s3cret",
        "./a",
        "../a",
        "~/a",
        "c:/windows/a",
        "c:\\windows\\a",
        "\\\\server\\share",
        "ext::sh -c id",
        "ext::sh -c id@host:a",
        "fd::17/x",
        "https::https://host/a",
        "foo::bar",
        "::a",
        "ftp://host/a",
        "gopher://host/a",
        "git+ssh://host/a",
        "svn+ssh://host/a",
        "javascript://host/a",
        "javascript:alert(1)",
        "data:text/plain,a",
        "://host/a",
        "https:/host/a",
        "https:host/a",
        "https://",
        "https:///",
        "https:///a/b",
        "https://host",
        "https://host/",
        "https://host//",
        "https://:443/a",
        "https://@/a",
        "https://host/a?x=s3cret",
        "https://host/a#s3cret",
        "https://host?/a",
        "https://host:0/a",
        "https://host:/a",
        "https://host:99999/a",
        "https://host:-1/a",
        "https://host:+80/a",
        "https://host:80:80/a",
        "https://host:80@/a",
        "https://ho st/a",
        "https://host /a",
        "https://ho%73t/a",
        "https://%31%32%37.0.0.1/a",
        "https://-host/a",
        "https://a.-host/a",
        "https://host..example/a",
        "https://.example/a",
        "https://ho*st/a",
        "https://ho$st/a",
        "https://host,evil/a",
        "https://host;evil/a",
        "https://1.2.3.4.5.6/a",
        "https://1.2.3.256/a",
        "https://0x100000000/a",
        "https://[::1/a",
        "https://::1/a",
        "https://[fe80::1%25eth0]/a",
        "https://[::1]evil/a",
        "https://local/a",
        "https://local-files/a",
        "https://host\\@evil/a",
        "https://host/a\\b",
        "https://host/a%5cb",
        "https://host/a\nb",
        "https://host/a\r\nX-Evil: 1",
        "https://host/a%0d%0aX-Evil:1",
        "https://host/a%0Ab",
        "https://host/a%00",
        "https://host/a\0b",
        "https://host/a\tb",
        "https://host/%7F",
        "https://host/a%C2%85b",
        "https://host/a%",
        "https://host/a%2",
        "https://host/a%zz",
        "https://host/a%ff",
        "https://host/a\u{202e}b",
        "https://host/a\u{200b}b",
        "https://user:s3cret\n@host/a",
        "https://user:s3cret@",
        "https://user:s3cret@/a",
        "https://us%0aer@host/a",
        "https://host/../etc",
        "https://host/a/..",
        "https://host/./a",
        "https://host/%2e%2E/etc",
        "https://host/-a",
        "https://host/%2Da",
        "ssh://-oProxyCommand=id/a",
        "ssh://-oProxyCommand=id@host/a",
        "ssh://%2doProxyCommand=id@host/a",
        "ssh://@host/a",
        "ssh://us er@host/a",
        "ssh://git@host",
        "ssh://git@host/-a",
        "ssh://git@host/a/../../b",
        "git@host",
        "git@host:",
        "git@host:-a",
        "git@host:/-a",
        "git@host:../a",
        "git@-host:a",
        "git@:a",
        "-u@host:a",
        "@host:a",
        "a:b@host:c",
        "a/b@host:c",
        "host:a",
        "git@ho st:a",
        "git@[::1:a",
        "git://user@host/a",
        "git://host",
        "file://",
        "file:///",
        "file:a",
        "file://other/srv/a",
        "file://user@localhost/a",
        "file://../a",
        "file:///srv/../etc/passwd",
        "file:///srv/%2e%2e/etc/passwd",
        "file:///srv/a%00",
        "/",
        "//",
        "/srv/../etc/passwd",
        "/srv/./a",
        "/-a",
        "/srv/a\nb",
        &long,
    ];
    for text in table {
        let error = SourceUrl::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        assert!(error.hint_text().is_some(), "{text}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{text}: {error:?}");
    }
}

/// What is well-formed, and refused by the default policy.
#[test]
fn the_default_policy_refuses_what_leads_inside() {
    let policy = SourcePolicy::default();
    let table = [
        "http://example.com/a",
        "git://example.com/a",
        "/etc",
        "file:///etc",
        "https://localhost/a",
        "https://LOCALHOST./a",
        "https://git.localhost/a",
        "git@localhost:a",
        "https://127.0.0.1/a",
        "https://127.1/a",
        "https://0177.0.0.1/a",
        "https://0x7f.1/a",
        "https://2130706433/a",
        "https://017700000001/a",
        "https://127.0.0.1.:8443/a",
        "https://0/a",
        "https://10.0.0.1/a",
        "https://172.16.0.1/a",
        "https://192.168.0.1/a",
        "https://100.64.0.1/a",
        "https://169.254.169.254/latest/meta-data",
        "https://255.255.255.255/a",
        "https://224.0.0.1/a",
        "https://[::]/a",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://[::127.0.0.1]/a",
        "https://[64:ff9b::7f00:1]/a",
        "https://[64:ff9b:1::a00:1]/a",
        "https://[2002:7f00:1::]/a",
        "https://[2001::f5ff:fffe]/a",
        "https://[fd00::1]/a",
        "https://[fe80::1]/a",
        "ssh://git@127.0.0.1/a",
        "git@[::1]:a",
        "git@10.0.0.1:a",
        "git@2130706433:a",
    ];
    for text in table {
        let error = policy.check_url(&parse(text).expect(text)).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::SourceRefused, "{text}");
        assert!(!error.is_retryable() && error.hint_text().is_some(), "{text}");
    }
    for text in ["https://github.com/a/b", "git@github.com:a/b", "https://1.1.1.1/a", "https://[2606:4700::1]/a"] {
        policy.check_url(&parse(text).unwrap()).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn refusals_name_the_setting() {
    let hint = |policy: &SourcePolicy, text: &str| {
        policy.check_url(&parse(text).unwrap()).unwrap_err().hint_text().unwrap_or_default().to_owned()
    };
    let policy = SourcePolicy::builder()
        .denied_hosts(["bad.example"])
        .unwrap()
        .allowed_hosts(["*.example"])
        .unwrap()
        .allowed_ports([443])
        .build()
        .unwrap();
    assert!(hint(&policy, "http://a.example/a").contains("allowed_schemes"));
    assert!(hint(&policy, "https://bad.example/a").contains("denied_hosts"));
    assert!(hint(&policy, "https://a.test/a").contains("allowed_hosts"));
    assert!(hint(&policy, "https://a.example:22/a").contains("allowed_ports"));
    assert!(hint(&SourcePolicy::default(), "https://10.0.0.1/a").contains("allow_private_networks"));
    assert!(hint(&SourcePolicy::builder().schemes([Scheme::File]).build().unwrap(), "/a").contains("file_roots"));
}

#[test]
fn all_addresses_of_a_name_must_pass() {
    let host = Host::parse("git.example").unwrap();
    let addresses = |text: &str| text.split(' ').map(|a| a.parse().unwrap()).collect::<Vec<IpAddr>>();
    let check =
        |policy: &SourcePolicy, text: &str| policy.check_addresses(&host, &addresses(text)).map_err(|e| e.kind());
    let refused = Err(ErrorKind::SourceRefused);

    let strict = SourcePolicy::default();
    assert_eq!(check(&strict, "1.1.1.1 2606:4700::1"), Ok(()));
    assert_eq!(check(&strict, "1.1.1.1 10.0.0.1"), refused);
    assert_eq!(strict.check_addresses(&host, &[]).unwrap_err().kind(), ErrorKind::SourceUnreachable);

    let open = SourcePolicy::builder().allow_private_networks(true).build().unwrap();
    assert_eq!(check(&open, "127.0.0.1 10.0.0.1 ::1"), Ok(()));
    assert_eq!(check(&open, "169.254.169.254"), refused);
    assert_eq!(check(&open, "64:ff9b::a9fe:a9fe"), refused);

    // A name does not open private networks, a network does.
    let named = SourcePolicy::builder().allowed_hosts(["git.example"]).unwrap().build().unwrap();
    assert_eq!(check(&named, "1.1.1.1"), Ok(()));
    assert_eq!(check(&named, "10.0.0.1"), refused);
    let network = SourcePolicy::builder().allowed_hosts(["10.0.0.0/8"]).unwrap().build().unwrap();
    assert_eq!(check(&network, "10.0.0.1 ::ffff:10.0.0.2"), Ok(()));
    assert_eq!(check(&network, "10.0.0.1 1.1.1.1"), refused);
    let denied = SourcePolicy::builder().denied_hosts(["1.1.1.0/24"]).unwrap().build().unwrap();
    assert_eq!(check(&denied, "8.8.8.8"), Ok(()));
    assert_eq!(check(&denied, "8.8.8.8 1.1.1.1"), refused);
}

#[test]
fn files_are_read_inside_their_roots_only() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let (root, storage, outside) = (base.join("root"), base.join("root/storage"), base.join("outside"));
    for path in [&root, &storage, &outside, &root.join("a.git"), &storage.join("b.git"), &outside.join("c.git")] {
        fs::create_dir_all(path).unwrap();
    }
    symlink(&outside, root.join("out")).unwrap();
    symlink(outside.join("missing"), root.join("dangling")).unwrap();
    symlink(&storage, root.join("into-storage")).unwrap();
    symlink(&root, base.join("alias")).unwrap();
    let policy = SourcePolicy::builder().schemes([Scheme::File]).file_root(base.join("alias")).build().unwrap();
    let policy = policy.with_storage_roots([&storage]).unwrap();

    let check = |path: &Path| policy.check_file_path(path).map_err(|error| error.kind());
    assert_eq!(check(&root.join("a.git")), Ok(root.join("a.git")));
    assert_eq!(check(&base.join("alias/a.git")), Ok(root.join("a.git")));
    assert_eq!(check(&root.join("missing/x.git")), Err(ErrorKind::SourceNotFound));
    for path in [
        outside.join("c.git"),
        outside.join("missing"),
        root.join("out/c.git"),
        root.join("out/missing"),
        root.join("dangling"),
        root.join("dangling/x"),
        storage.join("b.git"),
        storage.join("missing"),
        root.join("into-storage/b.git"),
        root.join("../outside/c.git"),
        base.join("root2"),
    ] {
        assert_eq!(check(&path), Err(ErrorKind::SourceRefused), "{}", path.display());
    }

    let inside = SourcePolicy::builder().schemes([Scheme::File]).file_root(&storage).build().unwrap();
    assert_eq!(inside.with_storage_roots([&root]).unwrap_err().kind(), ErrorKind::InvalidInput);
    let missing = SourcePolicy::builder().file_root(base.join("missing")).build();
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::InvalidInput);
    SourcePolicy::default().with_storage_roots([base.join("not/yet/there")]).unwrap();
}

#[test]
fn files_are_pushed_to_only_where_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let (read, push, storage) = (base.join("read"), base.join("push"), base.join("push/storage"));
    for path in [&read, &push, &storage] {
        fs::create_dir_all(path.join("a.git")).unwrap();
    }
    symlink(&read, push.join("out")).unwrap();
    let files = || SourcePolicy::builder().schemes([Scheme::File, Scheme::Https]);
    let policy = files()
        .push_host("example.com")
        .unwrap()
        .file_root(&read)
        .push_root(&push)
        .build()
        .unwrap()
        .with_storage_roots([&storage])
        .unwrap();
    let check = |path: &Path| policy.check_push_path(path).map_err(|error| error.kind());
    assert_eq!(check(&push.join("a.git")), Ok(push.join("a.git")));
    assert_eq!(check(&push.join("b.git")), Err(ErrorKind::SourceNotFound));
    for path in [read.join("a.git"), push.join("out/a.git"), storage.join("a.git"), base.join("c.git")] {
        assert_eq!(check(&path), Err(ErrorKind::SourceRefused), "{}", path.display());
    }
    let read_only = policy.check_file_path(&push.join("a.git"));
    assert_eq!(read_only.unwrap_err().kind(), ErrorKind::SourceRefused);

    let target = |policy: &SourcePolicy, url: &str| policy.check_target(&url.parse().unwrap()).is_ok();
    assert!(target(&policy, "/anything") && target(&policy, "https://example.com/a"));
    assert!(!target(&policy, "https://127.0.0.1/a") && !target(&policy, "http://example.com/a"));
    assert!(!target(&files().file_root(&read).build().unwrap(), "/anything"));
    assert!(!target(&SourcePolicy::builder().push_root(&push).build().unwrap(), "/anything"), "no file scheme");

    let inside = files().push_root(&storage).build().unwrap();
    assert_eq!(inside.with_storage_roots([&push]).unwrap_err().kind(), ErrorKind::InvalidInput);
    let missing = SourcePolicy::builder().push_root(base.join("missing")).build();
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn hosts_are_pushed_to_only_where_that_is_allowed() {
    let target = |policy: &SourcePolicy, url: &str| policy.check_target(&url.parse().unwrap());
    let read_only = target(&SourcePolicy::default(), "https://example.com/a").unwrap_err();
    assert_eq!(read_only.kind(), ErrorKind::SourceRefused);
    assert!(read_only.hint_text().is_some_and(|hint| hint.contains("push_hosts")), "{read_only:?}");

    let build = |patterns: [&str; 2]| {
        let builder = SourcePolicy::builder().allow_private_networks(true).denied_hosts(["old.example.com"]).unwrap();
        patterns.into_iter().fold(builder, |builder, pattern| builder.push_host(pattern).unwrap()).build().unwrap()
    };
    let policy = build(["*.example.com", "10.0.0.0/8"]);
    for allowed in ["https://GIT.example.com/a", "ssh://git@git.example.com/a", "https://10.1.2.3:8443/a"] {
        assert!(target(&policy, allowed).is_ok(), "{allowed}");
    }
    // Whoever owns a name decides where it leads, so it is not selected by an address.
    for refused in [
        "https://example.com/a",
        "https://example.org/a",
        "https://192.168.0.1/a",
        "https://old.example.com/a",
        "http://git.example.com/a",
    ] {
        assert_eq!(target(&policy, refused).unwrap_err().kind(), ErrorKind::SourceRefused, "{refused}");
        assert_eq!(
            policy.check_url(&refused.parse().unwrap()).is_ok(),
            refused.contains("https://") && !refused.contains("old")
        );
    }
    assert!(target(&build(["*", "git.example.com"]), "https://192.168.0.1/a").is_ok());
    assert_eq!(SourcePolicy::builder().push_host("a b").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn secrets_are_split_off_and_never_shown() {
    let split = |text: &str| match SourceUrl::parse(text).unwrap().credentials {
        Some(Credentials::UserPassword { user, password }) => Some((user, password.expose_secret().to_owned())),
        Some(other) => panic!("{other:?}"),
        None => None,
    };
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(split("https://me:p%40s3cret@host/a"), pair("me", "p@s3cret"));
    assert_eq!(split("https://me:a:b@c@host/a"), pair("me", "a:b@c"));
    assert_eq!(split("https://s3cret@host/a"), pair("s3cret", ""));
    assert_eq!(split("https://:s3cret@host/a"), pair("", "s3cret"));
    assert_eq!(split("https://@host/a"), None);
    assert_eq!(split("ssh://git@host/a"), None);
    assert_eq!(split("ssh://git:s3cret@host/a"), pair("git", "s3cret"));

    let parsed = SourceUrl::parse("https://me:s3cret@host/a").unwrap();
    assert!(!format!("{parsed:?} {}", parsed.url).contains("s3cret"));
    let error = "https://me:s3cret@host/a".parse::<SourceUrl>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn serde_checks_sources_too() {
    let url: SourceUrl = serde_json::from_str("\"https://host/a\"").unwrap();
    assert_eq!(serde_json::to_string(&url).unwrap(), "\"https://host/a\"");
    assert!(serde_json::from_str::<SourceUrl>("\"ext::id\"").is_err());
    assert!(serde_json::from_str::<SourceUrl>("\"https://me:pw@host/a\"").is_err());
    let key: HostKey = serde_json::from_str("\"Host.Example\"").unwrap();
    assert_eq!(key.as_str(), "host.example");
}

proptest! {
    /// Whatever is accepted has a canonical form that means the same and holds no control character.
    #[test]
    fn accepted_sources_survive_their_canonical_form(
        start in prop::sample::select(vec!["https://", "http://h", "ssh://u@h", "git://h/", "file://", "/", "u@h:", "", "a:b@"]),
        rest in "([a-z0-9@:/%.~ \\[\\]é#?=-]|%[0-9a-f]{2}){0,20}",
    ) {
        if let Ok(ParsedSource { url, .. }) = SourceUrl::parse(&format!("{start}{rest}")) {
            let canonical = url.to_string();
            prop_assert!(!canonical.chars().any(char::is_control));
            prop_assert_eq!(canonical.parse::<SourceUrl>().expect(&canonical), url);
        }
    }

    /// No text makes the parser panic.
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = SourceUrl::parse(&text);
        let _ = redact(&text);
        let _ = text.parse::<HostPattern>();
    }
}

/// `u@h:/~a` is a directory called `~a` in the root, `ssh://u@h/~a` is the home of `a`.
#[test]
fn an_absolute_ssh_path_that_begins_with_a_tilde_is_not_a_home() {
    for text in ["u@h:/~", "u@h:/~a/b.git"] {
        let url = SourceUrl::parse(text).unwrap().url;
        assert_eq!(url.to_string().parse::<SourceUrl>().unwrap().path(), url.path(), "{text}");
    }
}
