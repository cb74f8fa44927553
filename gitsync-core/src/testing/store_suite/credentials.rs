//! Stored credentials: set, listed, deleted, and sealed anew.

use std::sync::Arc;

use super::harness::{SECOND, StoreHarness, everything, refusal};
use super::pages::{all, page, rest};
use crate::error::ErrorKind;
use crate::model::{CredentialName, KeyId, OrganisationId, SealedCredential, SealedSecret, StoredCredential};
use crate::rules::{MAX_CREDENTIALS, MAX_SEALED_BYTES};
use crate::source::CredentialKind;
use crate::store::NewCredential;

/// What was set is listed until it is deleted, and belongs to one organisation.
pub async fn credentials_are_set_listed_and_deleted(h: StoreHarness) {
    let (ours, theirs) = (organisation(&h, "ours").await, organisation(&h, "theirs").await);
    let set = h.store.set_credential(&new(ours, "b", "a.example:8443/Acme")).await.expect("they can be set");
    h.assert_now(Some(set.created_at));
    h.assert_now(Some(set.updated_at));
    let NewCredential { organisation, name, scope, kind, .. } = new(ours, "b", "a.example:8443/Acme");
    assert_eq!(
        set,
        StoredCredential { organisation, name, scope, kind, created_at: set.created_at, updated_at: set.updated_at }
    );
    h.store.set_credential(&new(ours, "a", "a.example")).await.expect("they can be set");
    let foreign = h.store.set_credential(&new(theirs, "b", "a.example")).await.expect("they can be set");
    assert_eq!(listed(&h, ours).await, ["a", "b"]);
    assert_eq!(list(&h, theirs).await, [foreign]);

    assert_eq!(refusal(h.store.delete_credential(theirs, &name_of("a")).await), ErrorKind::NotFound);
    h.store.delete_credential(ours, &name_of("b")).await.expect("they can be deleted");
    assert_eq!(refusal(h.store.delete_credential(ours, &name_of("b")).await), ErrorKind::NotFound);
    assert_eq!((listed(&h, ours).await, listed(&h, theirs).await), (vec!["a".to_owned()], vec!["b".to_owned()]));
    h.store.set_credential(&new(ours, "c", "a.example:8443/Acme")).await.expect("nothing else is for the same");

    let nobody = OrganisationId(4711);
    assert_eq!(refusal(h.store.set_credential(&new(nobody, "a", "a.example")).await), ErrorKind::NotFound);
    assert_eq!(refusal(h.store.list_credentials(nobody, &everything()).await), ErrorKind::NotFound);
    assert_eq!(refusal(h.store.delete_credential(nobody, &name_of("a")).await), ErrorKind::NotFound);
    assert_eq!(sealed(&h, nobody).await, []);
}

/// Those of a name are replaced: all but when they were first set.
pub async fn credentials_of_a_name_are_replaced(h: StoreHarness) {
    let organisation = organisation(&h, "ours").await;
    let first = h.store.set_credential(&new(organisation, "a", "a.example")).await.expect("they can be set");
    h.clock.advance(60 * SECOND);
    let key = NewCredential {
        kind: CredentialKind::SshKey,
        secret: secret("k2", &[7; 100]),
        ..new(organisation, "a", "*.b.example/x")
    };
    let second = h.store.set_credential(&key).await.expect("they can be replaced");
    assert_eq!((second.created_at, second.kind, &second.scope), (first.created_at, key.kind, &key.scope));
    h.assert_now(Some(second.updated_at));
    assert_eq!(list(&h, organisation).await, std::slice::from_ref(&second));
    assert_eq!(sealed(&h, organisation).await, [SealedCredential { credential: second, secret: key.secret }]);
    // What was theirs is free.
    h.store.set_credential(&new(organisation, "b", "a.example")).await.expect("nothing else is for the same");
}

/// Two of an organisation are not for the same sources, unless one is a key. Of callers that set such at once, one succeeds.
pub async fn a_scope_is_taken_once(h: StoreHarness) {
    let organisation = organisation(&h, "ours").await;
    let calls = (0..4).map(|number| {
        let (store, new) = (Arc::clone(&h.store), new(organisation, &format!("n{number}"), "a.example"));
        tokio::spawn(async move { store.set_credential(&new).await.map_err(|error| error.kind()) })
    });
    let mut set = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.expect("the call ends") {
            Ok(_) => set += 1,
            Err(kind) => assert_eq!(kind, ErrorKind::AlreadyExists),
        }
    }
    assert_eq!((set, list(&h, organisation).await.len()), (1, 1));
    let key = NewCredential { kind: CredentialKind::SshKey, ..new(organisation, "key", "a.example") };
    h.store.set_credential(&key).await.expect("a key is for other sources");
}

/// An organisation keeps no more than allowed, also if several are set at once; others are not concerned.
pub async fn credentials_are_few_and_small(h: StoreHarness) {
    let organisation = organisation(&h, "ours").await;
    let numbered = |number: usize| new(organisation, &format!("n{number}"), &format!("a.example/{number}"));
    for number in 1..MAX_CREDENTIALS {
        h.store.set_credential(&numbered(number)).await.expect("they can be set");
    }
    let calls = (200..204).map(|number| {
        let (store, new) = (Arc::clone(&h.store), numbered(number));
        tokio::spawn(async move { store.set_credential(&new).await.map_err(|error| error.kind()) })
    });
    let mut set = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.expect("the call ends") {
            Ok(_) => set += 1,
            Err(kind) => assert_eq!(kind, ErrorKind::LimitExceeded),
        }
    }
    assert_eq!((set, sealed(&h, organisation).await.len()), (1, MAX_CREDENTIALS));
    let largest = NewCredential { secret: secret("k", &vec![0xff; MAX_SEALED_BYTES]), ..numbered(1) };
    h.store.set_credential(&largest).await.expect("they can be replaced");
    let larger = NewCredential { secret: secret("k", &vec![0xff; MAX_SEALED_BYTES + 1]), ..numbered(1) };
    assert_eq!(refusal(h.store.set_credential(&larger).await), ErrorKind::InvalidInput);
    let found = sealed(&h, organisation).await;
    assert!(found.iter().any(|sealed| sealed.secret == largest.secret), "a refused call changes nothing");
}

/// They are listed by name, hyphens and digits before letters, wherever a page ends.
pub async fn credentials_in_pages(h: StoreHarness) {
    let (ours, theirs) = (organisation(&h, "ours").await, organisation(&h, "theirs").await);
    let names = ["a", "a-b", "a0", "aa", "b"];
    for name in ["b", "a0", "aa", "a", "a-b"] {
        for organisation in [ours, theirs] {
            let new = new(organisation, name, &format!("{name}.example"));
            h.store.set_credential(&new).await.expect("they can be set");
        }
    }
    let list = async |page| h.store.list_credentials(ours, &page).await;
    let only_names =
        |found: Vec<StoredCredential>| -> Vec<String> { found.iter().map(|found| found.name.to_string()).collect() };
    for limit in [1, 2, 5, 6] {
        assert_eq!(only_names(all(limit, &list).await), names, "{limit}");
    }
    let (first, next) = page(2, None, &list).await;
    assert_eq!(only_names(first), names[..2]);
    h.store.delete_credential(ours, &name_of("a-b")).await.expect("they can be deleted");
    h.store.set_credential(&new(ours, "a-a", "new.example")).await.expect("they can be set");
    assert_eq!(only_names(rest(2, next, &list).await), names[2..]);
}

/// What is sealed with a key is found, of all organisations, until nothing is any more.
pub async fn what_a_key_seals_is_found(h: StoreHarness) {
    let (ours, theirs) = (organisation(&h, "ours").await, organisation(&h, "theirs").await);
    assert_eq!(keys(&h).await, [] as [&str; 0]);
    for (organisation, name, key) in
        [(ours, "a", "k2"), (ours, "b", "k10"), (theirs, "a", "k2"), (theirs, "c-c", "k2"), (ours, "c", "k-1")]
    {
        let secret = secret(key, name.as_bytes());
        let new = NewCredential { secret, ..new(organisation, name, &format!("{name}.example")) };
        h.store.set_credential(&new).await.expect("they can be set");
    }
    let mut found = keys(&h).await;
    found.sort();
    assert_eq!(found, ["k-1", "k10", "k2"]);

    let key: KeyId = "k2".parse().expect("a key id");
    let list = async |page| h.store.list_sealed_with(&key, &page).await;
    let of = |found: &[SealedCredential]| {
        let mut found: Vec<_> =
            found.iter().map(|found| (found.credential.organisation, found.credential.name.to_string())).collect();
        found.sort();
        found
    };
    let expected = [(ours, "a".to_owned()), (theirs, "a".to_owned()), (theirs, "c-c".to_owned())];
    for limit in 1..5 {
        let found = all(limit, &list).await;
        assert_eq!(of(&found), expected, "{limit}");
        assert!(found.iter().all(|found| found.secret == secret("k2", found.credential.name.as_str().as_bytes())));
    }
    // What is sealed anew meanwhile moves nothing else.
    let (first, next) = page(1, None, &list).await;
    assert!(reseal(&h, &first[0], &secret("k3", b"new")).await);
    assert_eq!(of(&rest(1, next, &list).await).len(), 2);
    for sealed in all(2, &list).await {
        assert!(reseal(&h, &sealed, &secret("k3", b"new")).await);
    }
    assert_eq!(all(2, &list).await, []);
    assert!(!keys(&h).await.contains(&"k2".to_owned()));
}

/// A seal is replaced where the secret is what it was; what was set meanwhile is not lost, and what is gone does not come back.
pub async fn a_seal_is_replaced_only_where_nothing_else_changed(h: StoreHarness) {
    let (ours, theirs) = (organisation(&h, "ours").await, organisation(&h, "theirs").await);
    for organisation in [ours, theirs] {
        h.store.set_credential(&new(organisation, "a", "a.example")).await.expect("they can be set");
    }
    let before = sealed(&h, ours).await.remove(0);
    h.clock.advance(60 * SECOND);
    let after = secret("k2", &[0, 1, 255]);
    assert!(reseal(&h, &before, &after).await);
    let expected = SealedCredential { secret: after.clone(), ..before.clone() };
    assert_eq!(sealed(&h, ours).await, std::slice::from_ref(&expected), "it is not newer for that");
    assert_eq!(sealed(&h, theirs).await[0].secret, before.secret);
    assert!(!reseal(&h, &before, &secret("k3", b"late")).await);
    // The same bytes with another key are something else.
    let other_key = SealedCredential { secret: SealedSecret { key: before.secret.key.clone(), ..after }, ..before };
    assert!(!reseal(&h, &other_key, &secret("k3", b"late")).await);
    assert_eq!(sealed(&h, ours).await, std::slice::from_ref(&expected));

    h.store.set_credential(&new(ours, "a", "a.example")).await.expect("they can be replaced");
    assert!(!reseal(&h, &expected, &secret("k3", b"late")).await);
    let replaced = sealed(&h, ours).await.remove(0);
    assert_eq!(replaced.secret, new(ours, "a", "a.example").secret);
    h.store.delete_credential(ours, &name_of("a")).await.expect("they can be deleted");
    assert!(!reseal(&h, &replaced, &secret("k3", b"late")).await);
    assert_eq!(sealed(&h, ours).await, []);
}

async fn organisation(h: &StoreHarness, slug: &str) -> OrganisationId {
    let slug = slug.parse().expect("a slug");
    h.store.create_organisation(&slug, "O").await.expect("an organisation can be made").id
}

fn name_of(name: &str) -> CredentialName {
    name.parse().expect("a name")
}

fn secret(key: &str, bytes: &[u8]) -> SealedSecret {
    SealedSecret { key: key.parse().expect("a key id"), bytes: bytes.to_vec() }
}

fn new(organisation: OrganisationId, name: &str, scope: &str) -> NewCredential {
    NewCredential {
        organisation,
        name: name_of(name),
        scope: scope.parse().expect("a scope"),
        kind: CredentialKind::UserPassword,
        secret: secret("k1", &[0, 255, 39, 0]),
    }
}

async fn list(h: &StoreHarness, organisation: OrganisationId) -> Vec<StoredCredential> {
    h.store.list_credentials(organisation, &everything()).await.expect("they can be listed").items
}

async fn listed(h: &StoreHarness, organisation: OrganisationId) -> Vec<String> {
    list(h, organisation).await.iter().map(|found| found.name.to_string()).collect()
}

async fn sealed(h: &StoreHarness, organisation: OrganisationId) -> Vec<SealedCredential> {
    h.store.sealed_credentials(organisation).await.expect("they can be loaded")
}

async fn keys(h: &StoreHarness) -> Vec<String> {
    h.store.credential_keys().await.expect("keys can be listed").iter().map(ToString::to_string).collect()
}

async fn reseal(h: &StoreHarness, before: &SealedCredential, after: &SealedSecret) -> bool {
    let StoredCredential { organisation, name, .. } = &before.credential;
    let resealed = h.store.reseal_credential(*organisation, name, &before.secret, after).await;
    resealed.expect("they can be sealed anew")
}
