//! Working trees, judged by `git clone` and `git status`.

use std::fs;
use std::path::Path;

use super::Subject;
use super::regular::{Files, Regular, chmod, files, link, write};
use crate::error::ErrorKind;
use crate::model::{ObjectFormat, ObjectId};
use crate::testing::Git;

/// A tree with a bit of everything.
fn varied(regular: &Regular) -> ObjectId {
    let dir = regular.upstream();
    for (path, content) in [
        ("file", "1\n"),
        ("empty", ""),
        ("same", "same\n"),
        ("run", "#!/bin/sh\n"),
        ("goes", "away\n"),
        ("gone/deep/down", "away\n"),
        ("gone/too", "away\n"),
        ("becomes/directory", "1\n"),
        ("was", "a file\n"),
        ("a-b", "beside\n"),
        ("a/b", "between\n"),
        ("a.b", "beside\n"),
        (".gitignore", "*.o\n"),
        ("tracked.o", "though ignored\n"),
        ("was-run", "#!/bin/sh\n"),
    ] {
        write(&dir, path, content);
    }
    write(&dir, "large", vec![7; 300_000]);
    chmod(&dir, "run", true);
    chmod(&dir, "was-run", true);
    link(&dir, "link", "file");
    link(&dir, "dangling", "../nowhere");
    link(&dir, "linked", "gone");
    link(&dir, "target", "run");
    write(&dir, "not\u{301} ascii \"quoted\"\n\t", "odd\n");
    fs::write(dir.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"not \xff text")), "odd\n")
        .expect("written");
    let git = Git::at(&dir);
    let commit = regular.commit(&[]);
    git.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},module")]);
    git.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},other/module")]);
    fs::create_dir_all(dir.join("module")).expect("made");
    fs::create_dir_all(dir.join("other/module")).expect("made");
    regular.commit_all()
}

/// The same tree, later.
fn later(regular: &Regular) -> ObjectId {
    let dir = regular.upstream();
    for path in ["goes", "gone/deep/down", "gone/too", "was", "target", "a/b", "large"] {
        fs::remove_file(dir.join(path)).expect("removed");
    }
    for directory in ["gone/deep", "gone", "a"] {
        fs::remove_dir(dir.join(directory)).expect("removed");
    }
    fs::remove_dir_all(dir.join("becomes")).expect("removed");
    fs::remove_file(dir.join("linked")).expect("removed");
    fs::remove_dir_all(dir.join("other")).expect("removed");
    for (path, content) in [
        ("file", "2\n"),
        ("becomes", "a file\n"),
        ("was/a/directory", "1\n"),
        ("linked/not/any/more", "1\n"),
        ("target", "a file\n"),
        ("a", "a file\n"),
        ("new/one", "1\n"),
    ] {
        write(&dir, path, content);
    }
    link(&dir, "large", "file");
    chmod(&dir, "was-run", false);
    chmod(&dir, "same", true);
    regular.commit_all()
}

/// Files, links, executable ones and submodules, in an empty repository.
pub async fn a_checkout_is_what_git_clones(subject: Subject) {
    let mut formats = vec![ObjectFormat::Sha1];
    formats.extend(subject.backend.capabilities().sha256.then_some(ObjectFormat::Sha256));
    for format in formats {
        let Some(regular) = Regular::with_format(subject.clone(), format).await else { return };
        let commit = varied(&regular);
        regular.check_out(None, commit).await.expect("checked out");
        regular.assert_is(commit);
    }
}

/// Everything changes into everything else, and back, with an index that git has written in between.
pub async fn a_tree_moves_with_all_that_is_in_it(subject: Subject) {
    let Some(regular) = Regular::new(subject).await else { return };
    let (one, two) = (varied(&regular), later(&regular));
    let none = regular.commit_tree(b"");
    let mut from = None;
    for (number, to) in [one, two, one, two, none, two].into_iter().enumerate() {
        regular.check_out(from, to).await.expect("checked out");
        regular.assert_is(to);
        let version = if number % 2 == 0 { "4" } else { "2" };
        regular.git().run(&["update-index", "--index-version", version, "--force-write-index"]);
        from = Some(to);
    }
}

/// What somebody changed, staged or put in the way stays, and so does everything else.
pub async fn a_changed_tree_is_a_conflict_and_stays(subject: Subject) {
    let Some(regular) = Regular::new(subject).await else { return };
    let (one, two) = (varied(&regular), later(&regular));
    regular.check_out(None, one).await.expect("checked out");
    let (dir, git) = (regular.dir(), regular.git());
    let outside = regular.root().join("outside");
    write(&outside, "directory", "1\n");
    let changes: [(&str, &dyn Fn()); 15] = [
        ("a file of the same size", &|| write(&dir, "file", "X\n")),
        ("a file that stays the same", &|| write(&dir, "same", "other\n")),
        ("a file is gone", &|| fs::remove_file(dir.join("empty")).expect("removed")),
        ("a mode", &|| chmod(&dir, "same", true)),
        ("a link", &|| {
            fs::remove_file(dir.join("link")).expect("removed");
            link(&dir, "link", "same");
        }),
        ("a staged change", &|| {
            write(&dir, "file", "X\n");
            git.run(&["add", "file"]);
            write(&dir, "file", "1\n");
        }),
        ("a staged file", &|| {
            write(&dir, "mine", "X\n");
            git.run(&["add", "mine"]);
        }),
        ("a file that is only to be added", &|| {
            write(&dir, "mine", "X\n");
            git.run(&["add", "--intent-to-add", "mine"]);
        }),
        ("a file that git is not to look at", &|| {
            write(&dir, "file", "X\n");
            git.run(&["update-index", "--assume-unchanged", "file"]);
        }),
        ("an untracked file in the way", &|| write(&dir, "new/one", "mine\n")),
        ("an untracked file in the way of a directory", &|| write(&dir, "new", "mine\n")),
        ("an untracked link in the way of a directory", &|| link(&dir, "new", "../outside")),
        ("an untracked file in a directory that goes", &|| write(&dir, "becomes/mine", "mine\n")),
        ("an ignored file in a directory that goes", &|| write(&dir, "becomes/mine.o", "mine\n")),
        ("a link instead of a directory", &|| {
            fs::remove_dir_all(dir.join("becomes")).expect("removed");
            link(&dir, "becomes", "../outside");
        }),
    ];
    for (what, change) in changes {
        change();
        let (before, index) = (files(&dir), fs::read(dir.join(".git/index")).expect("read"));
        let error = regular.check_out(Some(one), two).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{what}: {error}");
        assert_eq!(files(&dir), before, "{what}");
        assert_eq!(fs::read(dir.join(".git/index")).expect("read"), index, "{what}");
        assert_eq!(git.id("HEAD"), one, "{what}");
        assert!(!dir.join(".git/index.lock").exists(), "{what}");
        git.run(&["update-index", "--no-assume-unchanged", "file"]);
        git.run(&["reset", "--quiet", "--hard"]);
        git.run(&["clean", "-xdfq"]);
    }
    assert_eq!(files(&outside).len(), 1);

    // Somebody else's commit, and files in nobody's way.
    git.run(&["commit", "--quiet", "--allow-empty", "--message=mine"]);
    let error = regular.check_out(Some(one), two).await.expect_err("HEAD is elsewhere");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    git.run(&["reset", "--quiet", "--hard", "HEAD~"]);
    write(&dir, "mine/of/nobodys/business", "1\n");
    regular.check_out(Some(one), two).await.expect("checked out");
    assert_eq!(git.run(&["status", "--porcelain"]), "?? mine/");
}

/// A first checkout overwrites nothing either.
pub async fn a_first_checkout_finds_what_is_in_the_way(subject: Subject) {
    let Some(regular) = Regular::new(subject).await else { return };
    let commit = regular.commit(&[("a/b", "1\n")]);
    write(&regular.dir(), "a/b", "mine\n");
    let error = regular.check_out(None, commit).await.expect_err("something is in the way");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(fs::read_to_string(regular.dir().join("a/b")).expect("read"), "mine\n");
    fs::remove_file(regular.dir().join("a/b")).expect("removed");
    regular.check_out(None, commit).await.expect("checked out");
    regular.assert_is(commit);
}

/// Trees that would write into the repository or outside of the working tree.
pub async fn hostile_trees_are_refused(subject: Subject) {
    let Some(regular) = Regular::new(subject).await else { return };
    let good = regular.commit(&[("file", "1\n")]);
    regular.check_out(None, good).await.expect("checked out");
    let blob = regular.blob("hostile\n");
    let entry = |mode: &str, name: &[u8], id: &ObjectId| [mode.as_bytes(), b" ", name, b"\0", id.as_bytes()].concat();
    let inner = regular.tree(&entry("100644", b"config", &blob));
    let refused = ErrorKind::SourceRefused;
    let trees = [
        (entry("40000", b".git", &inner), refused),
        (entry("40000", b".GIT", &inner), refused),
        (entry("40000", b"git~1", &inner), refused),
        (entry("40000", b"..", &inner), refused),
        (entry("40000", b".", &inner), refused),
        (entry("40000", b"", &inner), refused),
        (entry("100644", b"../escaped", &blob), refused),
        (entry("100644", b"/escaped", &blob), refused),
        (entry("120000", b".gitmodules", &blob), refused),
        (entry("120000", b"link", &regular.blob("")), refused),
        (entry("120000", b"link", &regular.blob("a\0b")), refused),
        (entry("10000", b"pipe", &blob), refused),
        ([entry("100644", b"a", &blob), entry("100644", b"a", &blob)].concat(), refused),
        ([entry("120000", b"a", &blob), entry("40000", b"a", &inner)].concat(), refused),
        (entry("100644", b"a", &inner), ErrorKind::Corrupt),
        (entry("40000", b"a", &blob), ErrorKind::Corrupt),
        (b"100644 a".to_vec(), ErrorKind::Corrupt),
    ];
    let before = everything(regular.root());
    for (tree, kind) in trees {
        let shown = tree.escape_ascii().to_string();
        let commit = regular.commit_tree(&tree);
        let error = regular.check_out(Some(good), commit).await.expect_err(&shown);
        assert_eq!(error.kind(), kind, "{shown}: {error}");
    }
    assert_eq!(everything(regular.root()), before);
    regular.assert_is(good);
}

/// A link that one commit has and the next replaces by a directory leads nowhere.
pub async fn nothing_is_written_through_links(subject: Subject) {
    let Some(regular) = Regular::new(subject).await else { return };
    let outside = regular.root().join("outside");
    fs::create_dir(&outside).expect("made");
    link(&regular.upstream(), "a", "../outside");
    link(&regular.upstream(), "b", "../outside/b");
    let one = regular.commit_all();
    regular.check_out(None, one).await.expect("checked out");
    for name in ["a", "b"] {
        fs::remove_file(regular.upstream().join(name)).expect("removed");
    }
    let two = regular.commit(&[("a/b", "1\n"), ("b", "2\n")]);
    regular.check_out(Some(one), two).await.expect("checked out");
    regular.assert_is(two);
    assert_eq!(fs::read_dir(&outside).expect("read").count(), 0);
}

/// Neither attributes nor configuration nor hooks have any say.
pub async fn no_filter_and_no_hook_runs(subject: Subject) {
    use std::os::unix::fs::PermissionsExt;
    let Some(regular) = Regular::new(subject).await else { return };
    let (dir, git) = (regular.dir(), regular.git());
    let ran = regular.root().join("ran");
    let command = format!("touch {}", ran.display());
    for key in ["filter.evil.smudge", "filter.evil.clean", "filter.evil.process", "core.fsmonitor"] {
        git.run(&["config", key, &command]);
    }
    git.run(&["config", "core.autocrlf", "true"]);
    fs::create_dir_all(dir.join(".git/hooks")).expect("made");
    for hook in ["post-checkout", "post-merge", "post-index-change", "reference-transaction"] {
        let path = dir.join(".git/hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\n{command}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    }
    let attributes = "*.evil filter=evil\n*.crlf text eol=crlf\n*.id ident\n";
    let contents =
        [(".gitattributes", attributes), ("a.evil", "1\n"), ("a.crlf", "1\n2\n"), ("a.id", "$Id$\n"), ("b", "1\n")];
    let one = regular.commit(&contents);
    regular.check_out(None, one).await.expect("checked out");
    let two = regular.commit(&[("a.evil", "2\n"), ("a.crlf", "3\n4\n"), ("a.id", "$Id$ 2\n")]);
    regular.check_out(Some(one), two).await.expect("checked out");
    assert!(!ran.exists(), "something ran");
    for (path, content) in [("a.evil", "2\n"), ("a.crlf", "3\n4\n"), ("a.id", "$Id$ 2\n"), ("b", "1\n")] {
        assert_eq!(fs::read_to_string(dir.join(path)).expect("read"), content, "{path}");
    }
    for key in ["filter.evil.smudge", "filter.evil.clean", "filter.evil.process", "core.fsmonitor"] {
        git.run(&["config", "--unset", key]);
    }
    assert_eq!(git.run(&["status", "--porcelain"]), "");
}

/// A crash in the middle, at any point, is taken back; what somebody changed since is not.
pub async fn a_crash_in_a_checkout_is_taken_back(subject: Subject) {
    let Some(regular) = Regular::new(subject).await else { return };
    let one =
        regular.commit(&[("changed", "1\n"), ("goes", "1\n"), ("file", "1\n"), ("dir/a", "1\n"), ("same", "1\n")]);
    let upstream = regular.upstream();
    for path in ["goes", "file", "dir/a"] {
        fs::remove_file(upstream.join(path)).expect("removed");
    }
    fs::remove_dir(upstream.join("dir")).expect("removed");
    let two = regular.commit(&[("changed", "2\n"), ("comes", "2\n"), ("file/now", "2\n"), ("dir", "2\n")]);
    regular.check_out(None, one).await.expect("checked out");
    let (dir, git_dir) = (regular.dir(), regular.dir().join(".git"));
    let (before, index) = (files(&dir), fs::read(git_dir.join("index")).expect("read"));

    // The references do not take part, so the files are all there and the journal as well.
    let error = regular.check_out_expecting(Some(one), Some(two), two).await.expect_err("main is not there");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let (after, index_after) = (files(&dir), fs::read(git_dir.join("index")).expect("read"));
    let journal = fs::read(git_dir.join("gitsync-checkout/journal")).expect("read");
    assert_ne!(after, before);

    // Groups of paths that can be there or not independently of each other.
    let groups: [&[&str]; 5] = [&["changed"], &["goes"], &["file", "file/now"], &["dir/a", "dir"], &["comes"]];
    for moved in 0..1_u32 << groups.len() {
        for index in [&index, &index_after] {
            let state_of = |group: usize| if moved >> group & 1 == 1 { &after } else { &before };
            let state = groups.iter().enumerate().flat_map(|(number, group)| {
                let state = state_of(number);
                group.iter().filter_map(|path| Some((*path, state.get(path.as_bytes())?.1.clone())))
            });
            become_(&dir, state.chain([("same", b"1\n".to_vec())]));
            write(&git_dir, "index", index);
            write(&git_dir, "gitsync-checkout/journal", &journal);
            write(&git_dir, "gitsync-checkout/0", "half wr");
            regular.recover().await.expect("taken back");
            assert_eq!(files(&dir), before, "{moved:b}");
            assert_eq!(regular.git().run(&["status", "--porcelain"]), "", "{moved:b}");
        }
    }

    regular.assert_is(one);

    // What was changed since stays, and the rest goes back.
    become_(&dir, after.iter().map(|(path, (_, content))| (text(path), content.clone())));
    write(&git_dir, "index", &index_after);
    write(&git_dir, "gitsync-checkout/journal", &journal);
    write(&dir, "changed", "mine\n");
    write(&dir, "file/now", "mine\n");
    regular.recover().await.expect("taken back");
    let status = regular.git().run(&["status", "--porcelain", "--no-renames", "--untracked-files=all"]);
    assert_eq!(status, " M changed\n D file\n?? file/now");
    assert_eq!(fs::read_to_string(dir.join("file/now")).expect("read"), "mine\n");
    let error = regular.check_out(Some(one), two).await.expect_err("it is not clean");
    assert_eq!(error.kind(), ErrorKind::Conflict);

    // A journal whose commit HEAD has reached is only left over.
    fs::remove_file(dir.join("file/now")).expect("removed");
    regular.git().run(&["reset", "--quiet", "--hard"]);
    regular.check_out(Some(one), two).await.expect("checked out");
    write(&git_dir, "gitsync-checkout/journal", &journal);
    regular.recover().await.expect("nothing to do");
    regular.assert_is(two);
}

/// Makes a working tree hold these files and nothing else.
fn become_<'a>(dir: &Path, contents: impl IntoIterator<Item = (&'a str, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("read") {
        let path = entry.expect("read").path();
        if path.ends_with(".git") {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
    }
    for (path, content) in contents {
        write(dir, path, content);
    }
}

fn text(path: &[u8]) -> &str {
    std::str::from_utf8(path).expect("it is text")
}

/// All files below a directory but objects.
fn everything(root: &Path) -> Files {
    let is_object = |path: &[u8]| path.windows(9).any(|part| part == b"/objects/");
    files(root).into_iter().filter(|(path, _)| !is_object(path)).collect()
}
