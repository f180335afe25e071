//! Where a request comes from, as far as that can be believed.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;

/// What a proxy says of whom it speaks for, the nearest last.
const FORWARDED: &str = "x-forwarded-for";

/// The other end of a connection, as the operating system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// What is counted as one: an address, or the 64 bits of an IPv6 address that name a network, because
/// one host has all the others to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                Source(IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()))
            }
            address => Source(address),
        }
    }
}

/// Networks of proxies that are believed; usually few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

/// What is no list of addresses and networks.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not addresses or networks with commas between them")]
pub struct NoNetworks;

impl FromStr for Networks {
    type Err = NoNetworks;

    fn from_str(text: &str) -> Result<Self, NoNetworks> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(Network::read).collect::<Option<_>>().map(Networks).ok_or(NoNetworks)
    }
}

impl Networks {
    /// Whose request it is. Only what a trusted proxy says counts, and of that only what it was told
    /// by another trusted one, or saw itself: the last address that is none of theirs.
    pub(super) fn source(&self, Peer(peer): Peer, headers: &HeaderMap) -> Source {
        Source::of(self.client(peer, headers))
    }

    /// The same, as an address.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.hold(peer) {
            return peer;
        }
        let said: Vec<&str> =
            headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok()).collect();
        let mut nearest = peer;
        for hop in said.iter().flat_map(|line| line.split(',')).rev() {
            // What cannot be read was not said by who is trusted: the last who is counts.
            let Some(address) = read_hop(hop.trim()) else { break };
            nearest = address;
            if !self.hold(address) {
                break;
            }
        }
        nearest
    }

    fn hold(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address.to_canonical()))
    }
}

/// An address, with or without a port.
fn read_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse().map(|address: SocketAddr| address.ip()));
    address.ok()
}

impl Network {
    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then_some(Network { address, prefix })
    }

    fn holds(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, said: &[&str]) -> String {
        let networks: Networks = trusted.parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in said {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        networks.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_but_a_trusted_proxy() {
        assert_eq!(client("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "10.1.2.3", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.0/8", "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", &["198.51.100.7:80"]), "198.51.100.7");
        assert_eq!(client("fd00::/8", "fd00::1", &["[2001:db8::7]:80"]), "2001:db8::7");
    }

    #[test]
    fn of_what_a_proxy_was_told_the_last_that_is_no_proxy_counts() {
        let trusted = "10.0.0.0/8, 192.0.2.9";
        let said = ["1.1.1.1, 198.51.100.7, 10.0.0.5", "192.0.2.9"];
        assert_eq!(client(trusted, "10.0.0.1", &said), "198.51.100.7");
        assert_eq!(client(trusted, "10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.5"]), "10.0.0.5");
    }

    #[test]
    fn the_hosts_of_one_ipv6_network_are_counted_as_one() {
        let source = |address: &str| Source::of(address.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["10.0.0.0/33", "proxy.example", "10.0.0.0/8;::1", "10.0.0.0/x"] {
            assert!(wrong.parse::<Networks>().is_err(), "{wrong}");
        }
        assert_eq!("".parse::<Networks>().unwrap(), Networks::default());
    }
}
