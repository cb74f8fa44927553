//! Tells public addresses from those nobody outside should make us talk to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Reachable by everybody.
    Public,
    /// Of a network of our own or of no real network: only where private networks are allowed.
    Private(&'static str),
    /// No git server can be there, or one that must not be asked.
    Never(&'static str),
}

/// Classifies an address; one that carries an IPv4 address inside is not better than that one.
pub(super) fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        // The services that hand out a machine's own credentials: AWS, GCP, Azure and others; ECS; Azure; Alibaba; Oracle.
        [169, 254, 169, 254] | [169, 254, 170, 2] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => {
            Class::Never("cloud metadata")
        }
        [0, ..] => Class::Never("unspecified"),
        [224..=239, ..] => Class::Never("multicast"),
        [255, 255, 255, 255] => Class::Never("broadcast"),
        [240..=255, ..] => Class::Never("reserved"),
        [127, ..] => Class::Private("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private("private"),
        [100, 64..=127, ..] => Class::Private("carrier-grade NAT"),
        [169, 254, ..] => Class::Private("link-local"),
        [192, 0, 0, _] => Class::Private("protocol assignment"),
        [192, 88, 99, _] => Class::Private("6to4 relay"),
        [198, 18..=19, ..] => Class::Private("benchmark"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Private("documentation"),
        _ => Class::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> Class {
    // What AWS and GCP use for the metadata service.
    if matches!(address.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]) {
        return Class::Never("cloud metadata");
    }
    if address.is_unspecified() {
        return Class::Never("unspecified");
    }
    if address.is_multicast() {
        return Class::Never("multicast");
    }
    let own = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private("loopback"),
        // An address of IPv4 in other clothes, or reached through the standard gateway of an IPv6-only network: what counts
        // is the address inside.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Class::Public,
        [0, 0, 0, 0, 0, 0, ..] => Class::Private("IPv4-compatible"),
        [0x64, 0xff9b, 1, ..] => Class::Private("local NAT64"),
        [0xfc00..=0xfdff, ..] => Class::Private("unique local"),
        [0xfe80..=0xfebf, ..] => Class::Private("link-local"),
        [0xfec0..=0xfeff, ..] => Class::Private("site-local"),
        [0x2001, 0, ..] => Class::Private("Teredo"),
        [0x2001, 0x1..=0x1ff, ..] => Class::Private("protocol assignment"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Private("documentation"),
        [0x2002, ..] => Class::Private("6to4"),
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Private("not globally routed"),
    };
    let inner = embedded_v4(address).map_or(Class::Public, classify_v4);
    match (own, inner) {
        (_, Class::Never(_)) | (Class::Public, _) => inner,
        _ => own,
    }
}

/// Returns the IPv4 address that packets to this address may end at.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let b = address.octets();
    match address.segments() {
        // Loopback; its last bytes are no address.
        [0, 0, 0, 0, 0, 0, 0, 1] => None,
        // Mapped, compatible, translated, NAT64.
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0 | 1, ..] => {
            Some(Ipv4Addr::new(b[12], b[13], b[14], b[15]))
        }
        [0x2002, ..] => Some(Ipv4Addr::new(b[2], b[3], b[4], b[5])),
        // Teredo hides the client's address by inverting it.
        [0x2001, 0, ..] => Some(Ipv4Addr::new(!b[12], !b[13], !b[14], !b[15])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        classify(text.parse().expect("an address"))
    }

    #[test]
    fn public_addresses_are_public() {
        let table = "1.1.1.1 140.82.121.4 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 198.20.0.1 \
             223.255.255.255 2606:4700::1111 2a00:1450::1 2001:200::1 ::ffff:1.1.1.1 64:ff9b::140.82.121.4";
        for text in table.split_whitespace() {
            assert_eq!(class(text), Class::Public, "{text}");
        }
    }

    #[test]
    fn private_addresses_are_private() {
        let table = "127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 \
             169.254.0.1 192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 ::1 fc00::1 fd12::1 \
             fe80::1 fec0::1 2001:db8::1 3fff::1 2001::f5ff:fffe 2001:2::1 2001:10::1 2002:7f00:1:: 2002:808:808:: 64:ff9b:1::a00:1 \
             ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 ::8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::10.1.1.1 \
             100::1 4000::1 5f00::1";
        for text in table.split_whitespace() {
            assert!(matches!(class(text), Class::Private(_)), "{text}: {:?}", class(text));
        }
    }

    #[test]
    fn some_addresses_are_never_asked() {
        let table = "0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 169.254.169.254 169.254.170.2 \
             168.63.129.16 100.100.100.200 192.0.0.192 :: ff02::1 fd00:ec2::254 ::ffff:169.254.169.254 ::169.254.169.254 \
             64:ff9b::169.254.169.254 64:ff9b:1::169.254.169.254 2002:a9fe:a9fe:: 2001:0:0:0:0:0:5601:5601 ::ffff:0.0.0.0 \
             ::ffff:0:169.254.169.254";
        for text in table.split_whitespace() {
            assert!(matches!(class(text), Class::Never(_)), "{text}: {:?}", class(text));
        }
    }
}
