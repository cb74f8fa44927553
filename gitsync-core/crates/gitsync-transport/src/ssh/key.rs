//! Private keys, as the ssh program can read them by itself.

use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::{LineEnding, PrivateKey};

/// Returns a key that is not encrypted, or what to do about it.
///
/// The passphrase is used here and goes no further: the program could only be told it by another program.
pub(super) fn readable(key: &SecretString, passphrase: Option<&SecretString>) -> Result<SecretString, String> {
    let text = key.expose_secret();
    let parsed = PrivateKey::from_openssh(text.trim_ascii());
    let encrypted = match &parsed {
        Ok(key) => key.is_encrypted(),
        // Of the older formats.
        Err(_) => text.lines().take(3).any(|line| line.contains("ENCRYPTED")),
    };
    if !encrypted {
        // One of a kind that is not understood here may be one of the program's. It wants its lines to end.
        return Ok(SecretString::from(format!("{}\n", text.trim_ascii())));
    }
    let Some(passphrase) = passphrase else {
        return Err("the key is encrypted; configure its passphrase too".to_owned());
    };
    let parsed = parsed.map_err(|_| {
        "an encrypted key has to be in the format of OpenSSH; `ssh-keygen -p -f KEY` rewrites it so".to_owned()
    })?;
    let open = parsed.decrypt(passphrase.expose_secret()).map_err(|error| match error {
        ssh_key::Error::Crypto => "the passphrase is not that of the key",
        // Of the keys of ECDSA one in some hundreds is: its number begins with zeros.
        _ => "the passphrase is right, but the key is not understood; use one of ed25519, or one that is not encrypted",
    })?;
    let text = open.to_openssh(LineEnding::LF).map_err(|error| format!("the key cannot be rewritten: {error}"))?;
    Ok(SecretString::from(text.as_str()))
}
