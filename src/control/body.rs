//! What an answer carries: all of it at once, or lines for as long as a monitor runs.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::lines::Lines;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    Whole(Full<Bytes>),
    /// A JSON object a line.
    Lines(Lines),
}

impl Body {
    /// It has no end of its own.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self, Self::Lines(_))
    }
}

impl From<Vec<u8>> for Body {
    fn from(octets: Vec<u8>) -> Self {
        Self::Whole(octets.into())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context),
            Self::Lines(lines) => lines.poll(context).map(|text| text.map(|text| Ok(Frame::data(text.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Lines(_) => SizeHint::default(),
        }
    }
}
