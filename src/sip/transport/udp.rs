//! One socket of a UDP listener: each datagram is one message (RFC 3261 18.3).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::Hub;
use super::counters::Counted;
use crate::config::checked::{SipListener, Transport};
use crate::sip::net::{Incoming, Outgoing};

/// Bytes the kernel is asked to keep for us while the signalling is busy: a burst of thousands of INVITEs.
const KERNEL_BUFFER_BYTES: usize = 4 << 20;

pub(super) fn bind(listener: &SipListener) -> io::Result<UdpSocket> {
    let socket = super::socket(listener.bind, socket2::Type::DGRAM, listener.dscp)?;
    socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES)?;
    socket.set_send_buffer_size(KERNEL_BUFFER_BYTES)?;
    // Linux doubles what it grants and grants at most net.core.rmem_max.
    let granted = socket.recv_buffer_size()? / 2;
    if granted < KERNEL_BUFFER_BYTES {
        tracing::warn!(
            listener = listener.id,
            granted,
            wanted = KERNEL_BUFFER_BYTES,
            "small UDP receive buffer: bursts may be lost; set net.core.rmem_max"
        );
    }
    socket.bind(&listener.bind.into())?;
    UdpSocket::from_std(socket.into())
}

/// Past the runtime's own idea of readiness: a socket not yet polled would refuse its first datagram.
pub(super) fn send(socket: &UdpSocket, outgoing: &Outgoing) -> io::Result<usize> {
    socket2::SockRef::from(socket).send_to(&outgoing.bytes, &outgoing.peer.into())
}

/// Reads until the signalling is gone.
pub(super) async fn receive(
    hub: Arc<Hub>,
    listener: u16,
    socket: Arc<UdpSocket>,
    local: SocketAddr,
) {
    let mut buffer = vec![0_u8; 65_536];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((len, peer)) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                if is_keep_alive(bytes) {
                    hub.counters.add(Counted::KeepAlive);
                    continue;
                }
                let incoming = Incoming {
                    listener,
                    transport: Transport::Udp,
                    peer,
                    local,
                    connection: None,
                    bytes: bytes.to_vec(),
                };
                if hub.deliver(incoming).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                hub.counters.add(Counted::ReceiveFailed);
                tracing::debug!(listener, %error, "UDP receive failed");
                // Never a busy loop on a socket that keeps failing.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// What phones send to keep a NAT binding open: line ends, zeros, or nothing.
fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.len() <= 4 && bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | b' ' | 0))
}
