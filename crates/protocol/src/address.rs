//! Which addresses a hub or an agent may be sent to by somebody who only uses the hub.
//!
//! Plain rules over `std::net`, here because both sides apply them: `crates/probe` does, and the hub's `outbound/`, which
//! still has a copy, will use this table too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// How far a request may go. Whoever may name a target decides which: a member of a workspace gets the Internet, whoever
/// runs the machine that asks its own networks too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Addresses of the Internet.
    Public,
    /// Those, loopback and private networks; still none that only this machine's provider answers on.
    Private,
}

impl Reach {
    /// Whether an address of this class lies within it.
    #[must_use]
    pub const fn covers(self, class: Class) -> bool {
        match (self, class) {
            (_, Class::Public) | (Self::Private, Class::Private) => true,
            (_, Class::Never) | (Self::Public, Class::Private) => false,
        }
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Private, Self::Private) => Self::Private,
            _ => Self::Public,
        }
    }
}

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Of the Internet.
    Public,
    /// This machine, or a network that belongs to whoever runs it.
    Private,
    /// Nothing that a request should ever go to: metadata of clouds, link-local, multicast, tunnels, reserved.
    Never,
}

/// Where providers of machines answer with the machine's own credentials, and which are not link-local.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// What an address is. One that carries another inside counts as the one inside, where a gateway would unpack it.
#[must_use]
pub fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    if METADATA_V4.contains(&address) {
        return Class::Never;
    }
    match address.octets() {
        // Loopback, RFC 1918, shared address space (CGNAT), networks for benchmarks.
        [10 | 127, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            Class::Private
        }
        // "This" network, link-local, assignments of the IETF, documentation, relays of 6to4, multicast and reserved.
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Class::Never,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if METADATA_V6.contains(&address) {
        return Class::Never;
    }
    if address == Ipv6Addr::LOCALHOST {
        return Class::Private;
    }
    let inside = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        class_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped, and the well-known prefix of NAT64: both end at the IPv4 address inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inside(high, low),
        // Unique local.
        [0xfc00..=0xfdff, ..] => Class::Private,
        // Assignments of the IETF (Teredo among them), documentation twice, 6to4: tunnels lead anywhere.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2002, ..] => Class::Never,
        [0x2000..=0x3fff, ..] => Class::Public,
        // Unspecified, IPv4-compatible, NAT64 of a prefix of one's own, discard, link-local, site-local, multicast.
        _ => Class::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_is_what_it_is() {
        let table: &[(Class, &[&str])] = &[
            (
                Class::Public,
                &[
                    "1.1.1.1",
                    "8.8.8.8",
                    "9.255.255.255",
                    "11.0.0.0",
                    "100.63.255.255",
                    "100.128.0.0",
                    "126.255.255.255",
                    "128.0.0.0",
                    "169.253.255.255",
                    "169.255.0.0",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.0.1.1",
                    "192.167.255.255",
                    "192.169.0.0",
                    "198.17.255.255",
                    "198.20.0.0",
                    "223.255.255.255",
                    "2001:200::1",
                    "2001:4860:4860::8888",
                    "2606:4700:4700::1111",
                    "2a00::1",
                    "3fff:1000::1",
                    "::ffff:1.1.1.1",
                    "64:ff9b::8.8.8.8",
                ],
            ),
            (
                Class::Private,
                &[
                    "127.0.0.1",
                    "127.255.255.255",
                    "10.0.0.0",
                    "10.255.255.255",
                    "172.16.0.0",
                    "172.31.255.255",
                    "192.168.0.0",
                    "192.168.255.255",
                    "100.64.0.0",
                    "100.127.255.255",
                    "198.18.0.1",
                    "198.19.255.255",
                    "::1",
                    "fc00::1",
                    "fd12:3456::1",
                    "fdff:ffff::",
                    "::ffff:127.0.0.1",
                    "::ffff:10.1.2.3",
                    "::ffff:192.168.1.1",
                    "::ffff:100.64.0.1",
                    "64:ff9b::10.0.0.1",
                    "64:ff9b::127.0.0.1",
                ],
            ),
            (
                Class::Never,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "169.254.0.1",
                    "169.254.169.254",
                    "169.254.170.2",
                    "100.100.100.200",
                    "168.63.129.16",
                    "192.0.0.192",
                    "192.0.0.1",
                    "192.0.2.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "192.88.99.1",
                    "224.0.0.1",
                    "239.255.255.255",
                    "240.0.0.1",
                    "255.255.255.255",
                    "::",
                    "::2",
                    "::7f00:1",
                    "::10.0.0.1",
                    "::ffff:0.0.0.0",
                    "::ffff:169.254.169.254",
                    "::ffff:255.255.255.255",
                    "::ffff:0:127.0.0.1",
                    "64:ff9b::169.254.169.254",
                    "64:ff9b::",
                    "64:ff9b:1::1.1.1.1",
                    "64:ff9b:1::7f00:1",
                    "64:ff9b:0:1::1.1.1.1",
                    "100::1",
                    "2001::1",
                    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                    "2001:10::1",
                    "2001:20::1",
                    "2001:1ff::1",
                    "2001:db8::1",
                    "2002:7f00:1::1",
                    "2002:a00:1::1",
                    "2002:808:808::1",
                    "2002:a9fe:a9fe::1",
                    "3fff::1",
                    "3fff:fff::1",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                    "fe80::1",
                    "fe80::a9fe:a9fe",
                    "febf::1",
                    "fec0::1",
                    "ff02::1",
                    "ff0e::1",
                    "5f00::1",
                    "4000::1",
                    "1fff::1",
                    "fe00::1",
                ],
            ),
        ];
        for (expected, addresses) in table {
            for address in *addresses {
                assert_eq!(class(address.parse().unwrap()), *expected, "{address}");
            }
        }
    }

    #[test]
    fn nobody_reaches_what_is_never_reached() {
        for (reach, class, within) in [
            (Reach::Public, Class::Public, true),
            (Reach::Public, Class::Private, false),
            (Reach::Public, Class::Never, false),
            (Reach::Private, Class::Public, true),
            (Reach::Private, Class::Private, true),
            (Reach::Private, Class::Never, false),
        ] {
            assert_eq!(reach.covers(class), within, "{reach:?} {class:?}");
        }
    }
}
