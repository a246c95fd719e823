//! Whatever the mail server says, or never ceases to say: the mails arrive once it speaks sense, and Telegram takes no
//! notice.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use alertcast_core::delivery::DeliveryState::Sent;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::{App, MailServer, buy, finish, impatient, settings, to, world};

/// What is said: first as a greeting, then to one line after the other; then the connection ends.
type Lie = Vec<Say>;

#[derive(Debug, Clone)]
enum Say {
    Once(Vec<u8>),
    /// For as long as somebody listens.
    Endlessly(&'static str),
}

fn once(text: &str) -> Say {
    Say::Once(text.as_bytes().to_vec())
}

/// A server before the mail server, which tells each connection one lie, and passes those after the last one on.
struct Front {
    port: u16,
    lies: Arc<Mutex<VecDeque<Lie>>>,
}

impl Front {
    fn before(server: &MailServer, lies: Vec<Lie>) -> Self {
        let (listener, behind) = (TcpListener::bind("127.0.0.1:0").unwrap(), server.port);
        let front = Self { port: listener.local_addr().unwrap().port(), lies: Arc::new(Mutex::new(lies.into())) };
        let lies = Arc::clone(&front.lies);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let lie = lies.lock().unwrap().pop_front();
                std::thread::spawn(move || match lie {
                    Some(lie) => tell(stream, lie),
                    None => pass_on(stream, behind),
                });
            }
        });
        front
    }

    fn left(&self) -> usize {
        self.lies.lock().unwrap().len()
    }
}

/// Whoever does not listen any more has heard enough.
fn tell(stream: TcpStream, lie: Lie) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines();
    for (n, say) in lie.into_iter().enumerate() {
        if n > 0 && lines.next().is_none() {
            return;
        }
        let said = match say {
            Say::Once(bytes) => writer.write_all(&bytes),
            Say::Endlessly(text) => loop {
                if let Err(error) = writer.write_all(text.as_bytes()) {
                    break Err(error);
                }
            },
        };
        if said.is_err() {
            return;
        }
    }
}

fn pass_on(stream: TcpStream, port: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let (Ok(mut to_client), Ok(mut from_server)) = (stream.try_clone(), server.try_clone()) else { return };
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let (mut from_client, mut to_server) = (stream, server);
    let _ = std::io::copy(&mut from_client, &mut to_server);
    let _ = to_server.shutdown(std::net::Shutdown::Both);
    let _ = back.join();
}

#[tokio::test]
async fn nonsense_without_end_keeps_no_mail_for_ever_and_no_message_at_all() {
    let (greeting, hello) = (|| once("220 mail.example.com\r\n"), || once("250 mail.example.com\r\n"));
    let ok = || once("250 ok\r\n");
    let mut lies: Vec<Lie> = vec![
        Vec::new(),
        vec![Say::Endlessly("220-and more\r\n")],
        vec![Say::Endlessly("x")],
        vec![once("999 what\r\n")],
        vec![once("99999999999999999999 what\r\n")],
        vec![once("421 not now\r\n")],
        vec![greeting(), Say::Endlessly("250-PIPELINING\r\n")],
        vec![
            greeting(),
            once("250-x\r\n250-SIZE 0\r\n250-SIZE 99999999999999999999\r\n250 AUTH\r\n"),
            once("-250 ok\r\n"),
        ],
        vec![greeting(), hello(), once("2\r\n")],
        vec![greeting(), hello(), ok(), Say::Endlessly("250-you may\r\n")],
        vec![greeting(), hello(), ok(), ok(), once("354 go on\r\n"), Say::Endlessly("250-taken\r\n")],
    ];
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(7), ..Config::default() });
    for _ in 0..5 {
        let bytes = vec(any::<u8>(), 0..200).new_tree(&mut runner).unwrap().current();
        lies.push(vec![Say::Once(bytes)]);
    }
    let server = MailServer::start();
    let front = Front::before(&server, lies);
    let mut app = App::start_with(world(), |all| {
        settings(all, &server);
        impatient(all);
        all.email.smtp_url = Some(format!("smtp://127.0.0.1:{}", front.port).into());
    })
    .await;
    app.accept(buy(100.0)).await;
    app.until("Telegram's messages are there", || (1..=3).all(|user| app.messages(user).len() == 1)).await;
    app.quiet().await;
    assert_eq!(front.left(), 0, "all lies were told");
    let books = finish(app, &server).await;
    for user in 1..=3 {
        let [delivery] = to(&books, user).try_into().unwrap();
        assert_eq!(delivery.state, Sent, "{delivery:?}");
    }
}
