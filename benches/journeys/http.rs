//! As little of HTTP/1.1 as a load needs: one connection, one request at a time, almost no CPU time of its own.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::str;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is kept open.
pub struct Http {
    port: u16,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

/// What is asked.
pub struct Request(String);

impl Request {
    pub fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\n"))
    }

    pub fn post(path: &str, form: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        Self(format!(
            "POST {path} HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// With a further header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let at = self.0.find("\r\n").unwrap() + 2;
        self.0.insert_str(at, &format!("{name}: {value}\r\n"));
        self
    }

    pub fn basic(self, name: &str, secret: &str) -> Self {
        self.with("authorization", &format!("Basic {}", STANDARD.encode(format!("{name}:{secret}"))))
    }
}

/// What is answered.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub fn location(&self) -> Result<&str, String> {
        self.headers("location").next().ok_or_else(|| self.unexpected("no Location"))
    }

    /// `name=value; …` of the cookies that are set.
    pub fn cookies(&self) -> String {
        let pairs = self.headers("set-cookie").filter_map(|cookie| cookie.split(';').next());
        pairs.filter(|pair| !pair.ends_with('=')).collect::<Vec<_>>().join("; ")
    }

    /// It has this status, or is a failure.
    pub fn expect(self, status: u16) -> Result<Self, String> {
        if self.status == status { Ok(self) } else { Err(self.unexpected("another status")) }
    }

    pub fn unexpected(&self, why: &str) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!(
            "{why}: {} {} {}",
            self.status,
            self.headers("location").collect::<String>(),
            body.chars().take(200).collect::<String>()
        )
    }
}

impl Http {
    pub fn new(port: u16) -> Self {
        Self { port, stream: None, bytes: Vec::new() }
    }

    /// A connection that is open already.
    pub fn open(port: u16) -> Self {
        let mut http = Self::new(port);
        http.stream = http.connect().ok();
        http
    }

    fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        Ok(stream)
    }

    pub fn send(&mut self, request: &Request) -> Result<Answer, String> {
        let mut text = String::with_capacity(request.0.len() + 40);
        let (first, rest) = request.0.split_once("\r\n").ok_or("a request has a line")?;
        let end = if request.0.contains("\r\n\r\n") { "" } else { "\r\n" };
        let _ = write!(text, "{first}\r\nhost: localhost:{}\r\n{rest}{end}", self.port);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
        let answer = self.read(&mut stream)?;
        if answer.headers("connection").all(|value| !value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    fn read(&mut self, stream: &mut TcpStream) -> Result<Answer, String> {
        self.bytes.clear();
        let end = loop {
            let found = self.bytes.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = found {
                break end + 4;
            }
            self.more(stream)?;
        };
        let head = str::from_utf8(&self.bytes[..end]).map_err(|error| error.to_string())?.to_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.headers("content-length").next().map(str::to_owned);
        let chunked = answer.headers("transfer-encoding").any(|value| value == "chunked");
        answer.body = match length {
            Some(length) => self.body(stream, end, length.parse().map_err(|_| "an odd length")?)?,
            None if chunked => self.chunks(stream, end)?,
            None => Vec::new(),
        };
        Ok(answer)
    }

    fn more(&mut self, stream: &mut TcpStream) -> Result<(), String> {
        let mut part = [0; 16 * 1024];
        let read = stream.read(&mut part).map_err(|error| error.to_string())?;
        self.bytes.extend_from_slice(&part[..read]);
        if read == 0 { Err("the connection was closed".to_owned()) } else { Ok(()) }
    }

    fn body(&mut self, stream: &mut TcpStream, at: usize, length: usize) -> Result<Vec<u8>, String> {
        while self.bytes.len() < at + length {
            self.more(stream)?;
        }
        Ok(self.bytes[at..at + length].to_vec())
    }

    fn chunks(&mut self, stream: &mut TcpStream, mut at: usize) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.bytes[at..].windows(2).position(|two| two == b"\r\n") else {
                self.more(stream)?;
                continue;
            };
            let size = str::from_utf8(&self.bytes[at..at + line]).map_err(|error| error.to_string())?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|error| error.to_string())?;
            at += line + 2;
            body.extend(self.body(stream, at, size + 2)?.into_iter().take(size));
            at += size + 2;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}
