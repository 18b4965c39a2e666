//! As much HTTP as xtask needs to talk to a hub on loopback.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Somebody who talks to the hub, signed in or not.
pub(crate) struct Client {
    port: u16,
    cookie: Option<String>,
}

/// What came back.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body; `null` when it is empty or not JSON.
    pub(crate) body: Value,
    cookie: Option<String>,
}

impl Client {
    /// A client for the hub on `port` of loopback.
    pub(crate) fn new(port: u16) -> Self {
        Self { port, cookie: None }
    }

    /// Signs in; later requests are made as this user.
    pub(crate) fn sign_in(&mut self, email: &str, password: &str) -> Result<()> {
        let answer =
            self.request("POST", "/v1/auth/login", Some(&serde_json::json!({"email": email, "password": password})))?;
        if answer.status != 200 {
            bail!("the hub did not let the demo owner in ({}): {}", answer.status, answer.body);
        }
        self.cookie = Some(answer.cookie.context("the hub gave no session cookie")?);
        Ok(())
    }

    /// Makes one request.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let port = self.port;
        let body = body.map(Value::to_string).unwrap_or_default();
        // 1.0: the answer ends when the connection does, and is never chunked.
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n");
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("Cookie: {cookie}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        let mut connection = TcpStream::connect(("127.0.0.1", port)).context("the hub does not answer")?;
        connection.set_read_timeout(Some(Duration::from_secs(30)))?;
        connection.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut answer = Vec::new();
        connection.take(16 * 1024 * 1024).read_to_end(&mut answer)?;
        parse(&String::from_utf8_lossy(&answer))
    }
}

fn parse(answer: &str) -> Result<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n").context("the hub's answer is not HTTP")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the hub's answer has no status")?;
    let cookie = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next().unwrap_or(value).to_owned())
    });
    Ok(Answer { status, body: serde_json::from_str(body).unwrap_or(Value::Null), cookie })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse("HTTP/1.0 200 OK\r\nSet-Cookie: a=b; Path=/\r\n\r\n{\"x\":1}").unwrap();
        assert_eq!((answer.status, answer.cookie.as_deref(), &answer.body["x"]), (200, Some("a=b"), &Value::from(1)));
        assert_eq!(parse("HTTP/1.1 204 No Content\r\n\r\n").unwrap().body, Value::Null);
        assert!(parse("garbage").is_err());
    }
}
