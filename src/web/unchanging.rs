//! Answers that are the same for everybody until the next start: sent as `br`, as `gzip` or as they are, whichever the
//! asker prefers (RFC 9110 §12.5.3), each with an entity tag of its own.
//!
//! Here alone anything is compressed. A page that holds a secret beside what a visitor sent would give the secret away
//! by its length (BREACH).

use std::io::Write as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;

use super::shape::data;
use crate::crypto::secret::digest;
use crate::model::header_text;

/// What is larger goes in a packet of its own; what is smaller fits into one packet anyway.
const WORTH_IT: usize = 512;
/// Brotli's quality, 0 to 11: a tenth of a second for the largest of these bodies, once.
const BROTLI_QUALITY: i32 = 9;
/// Brotli's window, as a power of two: more than the largest of these bodies.
const BROTLI_WINDOW: i32 = 20;

/// A way to send a body, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    /// Whether a client means it by this name; `x-gzip` is an old one (RFC 9110 §8.4.1.3).
    fn is_called(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
            || (self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip"))
    }
}

/// A body that does not change.
#[derive(Debug)]
pub struct Unchanging {
    plain: Bytes,
    tag: String,
    brotli: OnceCell<Option<Bytes>>,
    gzip: OnceCell<Option<Bytes>>,
}

impl Unchanging {
    /// This body. It is compressed when it is asked for the first time, so that a start waits for nothing.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        let plain = body.into();
        let tag = digest(&plain).chars().take(16).collect();
        Self { plain, tag, brotli: OnceCell::new(), gzip: OnceCell::new() }
    }

    /// The answer to whoever asks with these headers, which has these headers besides.
    pub async fn answer<const N: usize>(&self, asked: &HeaderMap, headers: [(HeaderName, HeaderValue); N]) -> Response {
        let Some((coding, body)) = self.chosen(asked).await else {
            let words =
                "This is sent as br, as gzip or as it is (identity): Accept-Encoding has to allow one of them.\n";
            return data((StatusCode::NOT_ACCEPTABLE, [(header::VARY, "accept-encoding")], words));
        };
        let tag = if coding == Coding::Identity {
            format!("\"{}\"", self.tag)
        } else {
            format!("\"{}-{}\"", self.tag, coding.name())
        };
        let mut response = if is_known(asked, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = Response::new(body.into());
            if coding != Coding::Identity {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            }
            response
        };
        response.headers_mut().extend(headers);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    /// What the asker likes best of what there is; of equals, the smaller.
    async fn chosen(&self, asked: &HeaderMap) -> Option<(Coding, Bytes)> {
        let preferences = Preferences::of(asked);
        let mut codings = Coding::ALL.map(|coding| (preferences.weight(coding), coding));
        // A stable order: those of the same weight stay as they are.
        codings.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        for (_, coding) in codings.into_iter().filter(|(weight, _)| *weight > 0) {
            if let Some(body) = self.encoded(coding).await {
                return Some((coding, body));
            }
        }
        None
    }

    /// The body so encoded, if that makes it smaller.
    async fn encoded(&self, coding: Coding) -> Option<Bytes> {
        let (cell, compress): (_, Compress) = match coding {
            Coding::Identity => return Some(self.plain.clone()),
            Coding::Brotli => (&self.brotli, brotli),
            Coding::Gzip => (&self.gzip, gzip),
        };
        let compressed = cell.get_or_init(async || {
            let plain = self.plain.clone();
            if plain.len() < WORTH_IT {
                return None;
            }
            let compressed = tokio::task::spawn_blocking(move || compress(&plain)).await;
            let compressed = compressed.map_err(std::io::Error::other).flatten();
            compressed
                .inspect_err(|error| tracing::error!("an answer could not be compressed and goes as it is: {error}"))
                .ok()
                .filter(|compressed| compressed.len() < self.plain.len())
                .map(Bytes::from)
        });
        compressed.await.clone()
    }
}

type Compress = fn(&[u8]) -> std::io::Result<Vec<u8>>;

fn brotli(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: plain.len(),
        ..Default::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*plain, &mut compressed, &parameters)?;
    Ok(compressed)
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// Whether the asker has what this tag names (RFC 9110 §13.1.2: compared weakly).
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    header_text::items(asked, header::IF_NONE_MATCH, b',')
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}

/// `Accept-Encoding`, in thousandths.
struct Preferences<'a> {
    listed: Vec<(&'a [u8], u16)>,
}

impl<'a> Preferences<'a> {
    fn of(asked: &'a HeaderMap) -> Self {
        let items = header_text::items(asked, header::ACCEPT_ENCODING, b',');
        Self { listed: items.filter_map(weighted).collect() }
    }

    /// How much a coding is liked; 0 is not at all.
    fn weight(&self, coding: Coding) -> u16 {
        let weight_of =
            |is_it: &dyn Fn(&[u8]) -> bool| self.listed.iter().find(|(name, _)| is_it(name)).map(|(_, weight)| *weight);
        let listed = weight_of(&|name| coding.is_called(name)).or_else(|| weight_of(&|name| name == b"*"));
        // What is not named at all: the body as it is will do, and nothing else.
        listed.unwrap_or(u16::from(coding == Coding::Identity))
    }
}

/// An item and its weight; nothing where the weight is none (RFC 9110 §12.4.2).
fn weighted(item: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let Some(parameter) = parts.next() else { return Some((name, 1000)) };
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    Some((name, thousandths(value)?))
}

/// `0` to `1` with three decimals at most.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole] | [whole, b'.'] => (whole, &[] as &[u8]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let digit = |byte: Option<&u8>| match byte {
        None => Some(0),
        Some(byte) => byte.is_ascii_digit().then(|| u16::from(byte - b'0')),
    };
    let [whole, tenths, hundredths, rest] =
        [Some(whole), decimals.first(), decimals.get(1), decimals.get(2)].map(digit);
    let weight = whole? * 1000 + tenths? * 100 + hundredths? * 10 + rest?;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn body() -> Unchanging {
        Unchanging::new("the same again and again, ".repeat(1000))
    }

    fn asking(accept: &[&str]) -> HeaderMap {
        accept.iter().map(|line| (header::ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap())).collect()
    }

    /// RFC 9110 §12.5.3, each of its rules and examples.
    #[tokio::test]
    async fn the_asker_chooses_the_coding() {
        let body = body();
        for (accept, chosen) in [
            (&[] as &[&str], "identity"),
            (&[""], "identity"),
            (&["br"], "br"),
            (&["gzip"], "gzip"),
            (&["x-gzip"], "gzip"),
            (&["GZip"], "gzip"),
            (&["compress, gzip"], "gzip"),
            (&["gzip, deflate, br, zstd"], "br"),
            (&["gzip", "br"], "br"),
            (&["*"], "br"),
            (&["br;q=0.5, gzip;q=1.0"], "gzip"),
            (&["br;q=0.5,gzip;q=0.501"], "gzip"),
            (&["gzip;q=0.5, identity"], "identity"),
            (&["gzip;q=0.001"], "gzip"),
            (&["gzip;q=0"], "identity"),
            (&["br; q=0, *"], "gzip"),
            (&["gzip;q=1.0, identity; q=0.5, *;q=0"], "gzip"),
            (&["identity;q=0, gzip"], "gzip"),
            (&["*;q=0, br;q=0.1"], "br"),
            (&["deflate"], "identity"),
            // What cannot be read is not there.
            (&["br;q=x, gzip"], "gzip"),
            (&["br;q=1.001, gzip;q=0.1"], "gzip"),
            (&["br;q=0.0001, gzip;q=0.1"], "gzip"),
            (&["br;level=4, gzip;q=0.1"], "gzip"),
            (&["identity;q=0"], "none"),
            (&["*;q=0"], "none"),
            (&["deflate, identity;q=0"], "none"),
        ] {
            let found = body.chosen(&asking(accept)).await;
            assert_eq!(found.map_or("none", |(coding, _)| coding.name()), chosen, "{accept:?}");
        }
    }

    #[tokio::test]
    async fn what_is_compressed_is_the_same_body() {
        let body = body();
        let mut read = Vec::new();
        let (_, compressed) = body.chosen(&asking(&["br"])).await.unwrap();
        brotli::Decompressor::new(&*compressed, 4096).read_to_end(&mut read).unwrap();
        assert_eq!(read, body.plain);
        read.clear();
        let (_, compressed) = body.chosen(&asking(&["gzip"])).await.unwrap();
        flate2::read::GzDecoder::new(&*compressed).read_to_end(&mut read).unwrap();
        assert_eq!(read, body.plain);
    }

    #[tokio::test]
    async fn what_would_not_be_smaller_goes_as_it_is() {
        let random: Vec<u8> = (0..40).flat_map(|_| crate::time::Random::System.bytes::<32>()).collect();
        for body in [Unchanging::new("short"), Unchanging::new(random)] {
            let (coding, sent) = body.chosen(&asking(&["br, gzip"])).await.unwrap();
            assert_eq!((coding, &sent), (Coding::Identity, &body.plain));
        }
    }

    /// Each coding has a tag of its own, and is asked for by it.
    #[tokio::test]
    async fn a_tag_spares_the_body() {
        let body = body();
        let mut tags = std::collections::HashSet::new();
        for accept in ["br", "gzip", "identity"] {
            let mut asked = asking(&[accept]);
            let answer = body.answer(&asked, []).await;
            let tag = answer.headers()[header::ETAG].clone();
            assert!(tags.insert(tag.clone()), "{tag:?}");
            for (known, status) in [
                (tag.as_bytes().to_vec(), 304),
                ([b"W/", tag.as_bytes()].concat(), 304),
                ([b"\"other\", ", tag.as_bytes()].concat(), 304),
                (b"*".to_vec(), 304),
                (b"\"other\"".to_vec(), 200),
            ] {
                asked.insert(header::IF_NONE_MATCH, HeaderValue::from_bytes(&known).unwrap());
                let again = body.answer(&asked, [(header::CACHE_CONTROL, HeaderValue::from_static("public"))]).await;
                assert_eq!(again.status(), status, "{}", known.escape_ascii());
                assert_eq!(again.headers()[header::ETAG], tag);
                assert_eq!(again.headers()[header::VARY], "accept-encoding");
                assert_eq!(again.headers()[header::CACHE_CONTROL], "public");
                assert_eq!(
                    again.headers().contains_key(header::CONTENT_ENCODING),
                    status == 200 && accept != "identity"
                );
            }
        }
    }
}
