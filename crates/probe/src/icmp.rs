//! Echo requests: three packets, one answer is enough.
//!
//! A datagram socket needs no privilege where `net.ipv4.ping_group_range` holds the process's group; the kernel then
//! chooses the id and hands over echo replies only. A raw socket needs CAP_NET_RAW and sees every ICMP packet of the peer.
//! Where neither may be opened the probe is `unsupported`, which says nothing about the target.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use protocol::address::Reach;
use protocol::probe::{Failure, FailureCode, IcmpProbe, PACKETS, Packets};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::dial::{connect_failure, resolve};
use crate::tcp::host;
use crate::watch::{Watch, fail, millis};
use crate::{Env, limits};

/// Errors of one socket that are passed over: each is a notice of the network about one packet.
const MAX_NOTICES: usize = 16;
/// What stays of the time to tell the result: a probe that got an answer is not to end as one that was cut off.
const TO_TELL: Duration = Duration::from_millis(100);

/// Whether this process may send echo requests at all.
#[must_use]
pub fn permitted() -> bool {
    open(IpAddr::from([127, 0, 0, 1])).is_ok()
}

pub(crate) async fn probe(probe: &IcmpProbe, reach: Reach, env: &Env, watch: &mut Watch) -> Result<(), Failure> {
    let host = host(&probe.host)?;
    let addresses = resolve(&host, reach, env, watch).await?;
    // Only the first that there is a way to: three packets to each of several addresses would say nothing together.
    let mut told = fail(FailureCode::Unreachable, format!("{host} has no address"));
    for address in addresses {
        watch.seen.address = Some(address.to_string());
        match connected(address) {
            Ok((socket, is_raw)) => {
                let ping = Ping {
                    address,
                    is_raw,
                    id: u16::try_from((env.random)() & 0xffff).unwrap_or(1),
                    token: (env.random)(),
                };
                watch.stage(format!("while {address} had not answered"));
                return told_by(&ping.run(&socket, watch.deadline()).await, address, probe, watch);
            }
            Err(failure) => told = failure,
        }
    }
    Err(told)
}

fn connected(address: IpAddr) -> Result<(UdpSocket, bool), Failure> {
    let (socket, is_raw) = open(address).map_err(|error| {
        fail(
            FailureCode::Unsupported,
            format!(
                "this machine may not send echo requests ({error}); set net.ipv4.ping_group_range or give CAP_NET_RAW"
            ),
        )
    })?;
    let target = SocketAddr::new(address, 0);
    let connect = || {
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::from(target))?;
        UdpSocket::from_std(socket.into())
    };
    connect().map(|socket| (socket, is_raw)).map_err(|error| connect_failure(target, &error))
}

fn open(address: IpAddr) -> io::Result<(Socket, bool)> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => Ok((socket, false)),
        Err(_) => Socket::new(domain, Type::RAW, Some(protocol)).map(|socket| (socket, true)),
    }
}

fn told_by(tally: &Tally, address: IpAddr, probe: &IcmpProbe, watch: &mut Watch) -> Result<(), Failure> {
    let received = tally.round_trips.iter().flatten().count();
    let packets = Packets { sent: tally.sent, received: u8::try_from(received).unwrap_or(u8::MAX) };
    watch.seen.packets = Some(packets);
    if received == 0 {
        return Err(tally.notice.clone().unwrap_or_else(|| {
            fail(
                FailureCode::Timeout,
                format!(
                    "{address} answered none of {} echo requests; is it up, or does a firewall drop them?",
                    tally.sent
                ),
            )
        }));
    }
    let sum: f64 = tally.round_trips.iter().flatten().map(|round_trip| millis(*round_trip)).sum();
    watch.set_total_ms(sum / f64::from(packets.received));
    watch.judge_latency(probe.max_latency_ms)
}

/// What came of the packets.
#[derive(Debug, Default)]
struct Tally {
    sent: u8,
    round_trips: [Option<Duration>; PACKETS as usize],
    /// What the network said, where it said anything.
    notice: Option<Failure>,
}

struct Ping {
    address: IpAddr,
    is_raw: bool,
    id: u16,
    token: u64,
}

impl Ping {
    async fn run(&self, socket: &UdpSocket, deadline: Instant) -> Tally {
        let mut tally = Tally::default();
        let mut sent_at = [None; PACKETS as usize];
        let mut gap = interval(limits::PING_GAP);
        gap.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = deadline.checked_sub(TO_TELL).unwrap_or(deadline);
        let last_wait = Instant::now() + limits::PING_GAP * u32::from(PACKETS - 1) + limits::PING_WAIT;
        let mut buffer = [0; 256];
        let mut notices = 0;
        loop {
            tokio::select! {
                () = sleep_until(last_wait.min(deadline)) => return tally,
                _ = gap.tick(), if tally.sent < PACKETS => {
                    let sequence = tally.sent;
                    if let Some(slot) = sent_at.get_mut(usize::from(sequence)) {
                        *slot = Some(Instant::now());
                    }
                    tally.sent += 1;
                    if let Err(error) = socket.send(&self.request(sequence)).await {
                        tally.notice = Some(connect_failure(SocketAddr::new(self.address, 0), &error));
                    }
                }
                received = socket.recv(&mut buffer) => match received {
                    Ok(length) => {
                        let sequence = self.answered(buffer.get(..length).unwrap_or_default()).map(usize::from);
                        let sent = sequence.and_then(|sequence| sent_at.get(sequence).copied().flatten());
                        let slot = sequence.and_then(|sequence| tally.round_trips.get_mut(sequence));
                        if let (Some(sent), Some(slot @ None)) = (sent, slot) {
                            *slot = Some(sent.elapsed());
                        }
                    }
                    Err(error) => {
                        tally.notice = Some(connect_failure(SocketAddr::new(self.address, 0), &error));
                        notices += 1;
                        if notices > MAX_NOTICES {
                            return tally;
                        }
                    }
                },
            }
            if tally.round_trips.iter().all(Option::is_some) {
                return tally;
            }
        }
    }

    fn request(&self, sequence: u8) -> Vec<u8> {
        let kind = if self.address.is_ipv4() { ECHO_REQUEST_V4 } else { ECHO_REQUEST_V6 };
        let mut packet = vec![kind, 0, 0, 0];
        packet.extend(self.id.to_be_bytes());
        packet.extend(u16::from(sequence).to_be_bytes());
        packet.extend(self.token.to_be_bytes());
        // Of ICMPv6 the kernel makes it: it covers addresses that only the kernel knows.
        if self.address.is_ipv4() {
            let sum = checksum(&packet).to_be_bytes();
            for (to, from) in packet.iter_mut().skip(2).zip(sum) {
                *to = from;
            }
        }
        packet
    }

    /// The sequence number of the request that a packet answers; none where it answers none of ours. Kernels give datagram
    /// sockets an id of their own, so that one is compared on raw sockets only.
    fn answered(&self, packet: &[u8]) -> Option<u8> {
        let has_ip_header = self.is_raw && self.address.is_ipv4();
        let header = if has_ip_header { usize::from(packet.first()? & 0x0f) * 4 } else { 0 };
        let (head, token) = packet.get(header..)?.split_first_chunk::<8>()?;
        let &[kind, 0, _, _, id_high, id_low, 0, sequence] = head else { return None };
        let expected = if self.address.is_ipv4() { ECHO_REPLY_V4 } else { ECHO_REPLY_V6 };
        let is_ours = !self.is_raw || u16::from_be_bytes([id_high, id_low]) == self.id;
        (kind == expected && is_ours && token.get(..8) == Some(&self.token.to_be_bytes()[..])).then_some(sequence)
    }
}

const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// The checksum of the Internet (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ping(address: &str, is_raw: bool) -> Ping {
        Ping { address: address.parse().unwrap(), is_raw, id: 0x1234, token: 0x0102_0304_0506_0708 }
    }

    fn reply(ping: &Ping, sequence: u8) -> Vec<u8> {
        let mut packet = ping.request(sequence);
        packet[0] = if ping.address.is_ipv4() { ECHO_REPLY_V4 } else { ECHO_REPLY_V6 };
        packet
    }

    #[test]
    fn the_checksum_of_a_request_is_right() {
        let packet = ping("1.1.1.1", false).request(2);
        assert_eq!(checksum(&packet), 0, "with its checksum a packet sums up to nothing");
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2, "example of RFC 1071");
    }

    #[test]
    fn only_answers_to_our_own_requests_count() {
        for address in ["1.1.1.1", "2606:4700::1"] {
            let datagram = ping(address, false);
            assert_eq!(datagram.answered(&reply(&datagram, 2)), Some(2));
            assert_eq!(datagram.answered(&datagram.request(2)), None, "the request itself, seen on loopback");
            let stranger = Ping { token: 9, ..ping(address, false) };
            assert_eq!(datagram.answered(&reply(&stranger, 2)), None);
        }
        let raw = ping("1.1.1.1", true);
        let with_header = |packet: Vec<u8>| [vec![0x45; 20], packet].concat();
        assert_eq!(raw.answered(&with_header(reply(&raw, 1))), Some(1));
        assert_eq!(raw.answered(&with_header(reply(&Ping { id: 9, ..ping("1.1.1.1", true) }, 1))), None);
    }

    #[tokio::test(start_paused = true)]
    async fn packets_that_nobody_answers_end_in_time() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(silent.local_addr().unwrap()).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let tally = ping("127.0.0.1", false).run(&socket, deadline).await;
        assert_eq!((tally.sent, tally.round_trips.iter().flatten().count()), (PACKETS, 0));
        assert!(Instant::now() < deadline);
        let deadline = Instant::now() + Duration::from_millis(350);
        assert_eq!(ping("127.0.0.1", false).run(&socket, deadline).await.sent, 2, "and within the time that there is");
        assert!(Instant::now() < deadline);
    }

    proptest! {
        #[test]
        fn any_packet_is_an_answer_or_not(packet in prop::collection::vec(any::<u8>(), 0..64), is_raw: bool, six: bool) {
            let _ = ping(if six { "::1" } else { "127.0.0.1" }, is_raw).answered(&packet);
        }
    }
}
