//! Other ways to a server than a connection to its host: a proxy, a socket of this machine.

use crate::helpers::{mock, quick_mock};
use crate::misbehaving::TRANSPORTS;
use crate::support::{Bench, Ended, Mock, run};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// Copies both ways until both ends are closed.
fn join(one: impl Ends, other: impl Ends) {
    let (mut from, mut to) = (one.copy(), other.copy());
    thread::spawn(move || {
        std::io::copy(&mut from, &mut to).ok();
        to.close();
    });
    let (mut from, mut to) = (other, one);
    std::io::copy(&mut from, &mut to).ok();
    to.close();
}

trait Ends: Read + Write + Send + 'static {
    fn copy(&self) -> Self;
    fn close(&self);
}

macro_rules! ends {
    ($type:ty) => {
        impl Ends for $type {
            fn copy(&self) -> Self {
                self.try_clone().expect("a second descriptor")
            }
            fn close(&self) {
                self.shutdown(std::net::Shutdown::Write).ok();
            }
        }
    };
}

ends!(TcpStream);
ends!(std::os::unix::net::UnixStream);

/// A proxy that notes the heads of what it is asked. It ends with the test's process.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that passes everything on to this server, whatever host it is asked for, or refuses with this answer.
    fn start(server: String, refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (noted, server) = (Arc::clone(&noted), server.clone());
                thread::spawn(move || pass_on(client, &server, refusal, &noted));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no thread panics").clone()
    }
}

fn pass_on(mut client: TcpStream, server: &str, refusal: Option<&str>, noted: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let is_tunnel = text.starts_with("CONNECT");
    noted.lock().expect("no thread panics").push(text);
    if let Some(refusal) = refusal {
        client.write_all(refusal.as_bytes()).ok();
        return;
    }
    let mut upstream = TcpStream::connect(server).expect("the server listens");
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok();
    } else {
        // Servers take a whole URL in a request line.
        upstream.write_all(&head).ok();
    }
    join(client, upstream);
}

fn address(mock: &Mock) -> String {
    let url = mock.url("");
    url.split_once("://").expect("it is a URL").1.to_owned()
}

fn measured(bench: &Bench, url: &str, arguments: &[&str]) -> Ended {
    let fixed = ["--url", url, "--prompt", "hi", "-n", "6", "--parallel", "2"];
    run(bench.perf(&fixed).args(arguments))
}

#[test]
fn plain_requests_go_through_a_proxy() {
    for transport in TRANSPORTS {
        let mock = quick_mock();
        let proxy = Proxy::start(address(&mock), None);
        let bench = Bench::new();
        let way = format!("http://me:secret-of-the-proxy@{}", proxy.address);
        let json = [
            "--proxy",
            &way,
            "--transport",
            transport,
            "--json",
            "run.json",
        ];
        let ended = measured(&bench, "http://nowhere.test/v1/chat/completions", &json);
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        assert_eq!(
            bench.rows("SELECT count(*) FROM result WHERE error_kind IS NULL"),
            [[Value::from(6)]]
        );
        let heads = proxy.heads();
        assert!(!heads.is_empty());
        for head in heads {
            let head = head.to_ascii_lowercase();
            assert!(
                head.starts_with("post http://nowhere.test/v1/chat/completions http/1.1"),
                "{head}"
            );
            assert!(head.contains("\r\nhost: nowhere.test\r\n"), "{head}");
            assert!(head.contains("proxy-authorization: basic "), "{head}");
        }
        let document = std::fs::read_to_string(bench.path("run.json")).expect("it was written");
        assert!(!document.contains("secret-of-the-proxy"));
        let told = format!("\"proxy\": \"http://{}/\"", proxy.address);
        assert!(document.contains(&told), "{document}");
    }
}

#[test]
fn tls_goes_through_a_tunnel_of_the_proxy() {
    for transport in TRANSPORTS {
        let mock = mock(&["--tls"]);
        let proxy = Proxy::start(address(&mock), None);
        let bench = Bench::new();
        let way = format!("http://me:pass@{}", proxy.address);
        let arguments = ["--proxy", &way, "--transport", transport, "--insecure"];
        let ended = measured(
            &bench,
            "https://nowhere.test/v1/chat/completions",
            &arguments,
        );
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        for head in proxy.heads() {
            assert!(
                head.starts_with("CONNECT nowhere.test:443 HTTP/1.1"),
                "{head}"
            );
            let head = head.to_ascii_lowercase();
            assert!(
                head.contains("proxy-authorization: basic bwu6cgfzcw=="),
                "{head}"
            );
        }
    }
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let mock = mock(&["--tls"]);
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    for (transport, why) in TRANSPORTS
        .into_iter()
        .zip(["it answered HTTP/1.1 407", "proxy authorization required"])
    {
        let proxy = Proxy::start(address(&mock), Some(refusal));
        let bench = Bench::new();
        let way = proxy.address.to_string();
        let arguments = ["--proxy", &way, "--insecure", "--transport", transport];
        let ended = measured(
            &bench,
            "https://nowhere.test/v1/chat/completions",
            &arguments,
        );
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let all = format!("{}{}", ended.stdout, ended.stderr);
        let all = all.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = format!("connect: no connection through the proxy (--proxy): {why}");
        assert!(all.contains(&told), "{transport}: {all}");
    }
}

#[test]
fn a_server_is_reached_over_its_socket() {
    for transport in TRANSPORTS {
        let mock = quick_mock();
        let bench = Bench::new();
        let listener = UnixListener::bind(bench.path("server.sock")).expect("a new socket");
        let server = address(&mock);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let upstream = TcpStream::connect(&server).expect("the server listens");
                thread::spawn(move || join(client, upstream));
            }
        });
        let arguments = ["--unix-socket", "server.sock", "--transport", transport];
        let ended = measured(&bench, "http://model/v1/chat/completions", &arguments);
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        assert_eq!(
            bench.rows("SELECT count(*) FROM result WHERE error_kind IS NULL"),
            [[Value::from(6)]]
        );
    }
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    let bench = Bench::new();
    let arguments = ["--unix-socket", "no.sock"];
    let ended = measured(&bench, "http://model/v1/chat/completions", &arguments);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(all.contains("no.sock: No such file"), "{all}");
}

#[test]
fn files_of_certificates_that_are_none_are_refused() {
    let bench = Bench::new();
    bench.file("empty.pem", "");
    for (arguments, said) in [
        (
            &["--ca-file", "none.pem"][..],
            "--ca-file none.pem: it cannot be read",
        ),
        (
            &["--ca-file", "empty.pem"],
            "--ca-file empty.pem: it has no certificate",
        ),
        (
            &["--client-cert", "empty.pem"],
            "--client-cert empty.pem: it has no certificate",
        ),
        (
            &["--proxy", "socks5://h:1"],
            "--proxy socks5://h:1: only proxies that speak HTTP",
        ),
    ] {
        for transport in TRANSPORTS {
            let arguments = [arguments, &["--transport", transport]].concat();
            let ended = measured(&bench, "https://localhost:1/v1", &arguments);
            assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
            assert!(
                ended.stderr.contains(said),
                "{arguments:?}: {}",
                ended.stderr
            );
            assert!(!bench.path("run.db").exists());
        }
    }
}
