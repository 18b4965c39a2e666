//! TCP connections to the outside.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

/// Bytes that may wait in the kernel before they are sent. A heartbeat queues behind these and no more, however fast a
/// job writes its log and however slow the line is.
const NOT_SENT: u32 = 128 << 10;
/// A peer that confirms nothing for this long is gone.
const UNCONFIRMED: Duration = Duration::from_secs(40);

/// Connects to one address.
///
/// # Errors
/// When the peer refuses or cannot be reached.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let options = SockRef::from(&stream);
    // Each of these only makes things better; a kernel or sandbox that refuses one is no reason to stay offline.
    let _ = options.set_tcp_notsent_lowat(NOT_SENT);
    let _ = options.set_tcp_user_timeout(Some(UNCONFIRMED));
    let _ = options.set_tcp_keepalive(&TcpKeepalive::new().with_time(UNCONFIRMED));
    Ok(stream)
}
