//! Addresses for a cluster's network that nothing else on the machine uses.
#![allow(
    clippy::disallowed_methods,
    reason = "the machine's routes are read, so that none of them is hidden by a network of ours"
)]

use std::fs;
use std::net::Ipv4Addr;

/// Bits of the network part: a thousand addresses.
const PREFIX: u32 = 22;

/// A private network (RFC 1918), chosen by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet(Ipv4Addr);

impl Subnet {
    /// One that no route of this machine leads to.
    pub(super) fn random() -> Self {
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        let routes: Vec<(u32, u32)> = routes.lines().filter_map(route).collect();
        loop {
            let chosen = match fastrand::bool() {
                true => Ipv4Addr::new(10, fastrand::u8(..), fastrand::u8(..), 0),
                false => Ipv4Addr::new(172, fastrand::u8(16..32), fastrand::u8(..), 0),
            };
            let subnet = Self::of(chosen);
            if !routes.iter().any(|route| overlap(*route, (u32::from(subnet.0), mask()))) {
                return subnet;
            }
        }
    }

    /// The one that an address is in.
    pub(super) fn of(address: Ipv4Addr) -> Self {
        Self(Ipv4Addr::from(u32::from(address) & mask()))
    }

    /// As engines read it.
    pub(super) fn text(self) -> String {
        format!("{}/{PREFIX}", self.0)
    }

    /// The address with this number. Number 0 is the network itself and 1 the gateway.
    pub(super) fn address(self, number: usize) -> String {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Ipv4Addr::from(u32::from(self.0).saturating_add(number)).to_string()
    }

    /// How many addresses there are for pods and Services.
    pub(super) fn room() -> usize {
        (1 << (32 - PREFIX)) - 4
    }
}

fn mask() -> u32 {
    u32::MAX << (32 - PREFIX)
}

/// Destination and mask of a line of `/proc/net/route`, hexadecimal in the machine's own order; the default route is none (proc(5)).
fn route(line: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok().map(u32::from_be);
    let (destination, mask) = (number(1)?, number(7)?);
    (mask != 0).then_some((destination, mask))
}

fn overlap((one, one_mask): (u32, u32), (other, other_mask): (u32, u32)) -> bool {
    let both = one_mask & other_mask;
    one & both == other & both
}

#[cfg(test)]
mod tests {
    use super::{Subnet, overlap, route};

    #[test]
    fn addresses_are_in_the_network() {
        let subnet = Subnet::of("10.1.7.9".parse().unwrap());
        assert_eq!((subnet.text().as_str(), subnet.address(2).as_str()), ("10.1.4.0/22", "10.1.4.2"));
        assert_eq!(Subnet::of(subnet.address(Subnet::room()).parse().unwrap()), subnet);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn routes_are_read_and_kept_clear_of() {
        assert_eq!(route("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask"), None);
        assert_eq!(route("eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"), None);
        let docker = route("docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0").unwrap();
        assert_eq!(docker, (0xac11_0000, 0xffff_0000));
        assert!(overlap(docker, (0xac11_0400, 0xffff_fc00)));
        assert!(!overlap(docker, (0xac12_0400, 0xffff_fc00)));
    }
}
