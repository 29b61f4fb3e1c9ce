use bytes::{Buf as _, BytesMut};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

/// Begins a frame.
const START: u8 = 0x0b;
/// Ends it, and a CR behind it.
const END: u8 = 0x1c;
const CR: u8 = 0x0d;

/// MLLP frames: `0x0B`, the message, `0x1C 0x0D`.
#[derive(Debug)]
pub(super) struct MllpCodec {
    message_bytes_max: usize,
    junk_bytes_max: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Between frames; so many bytes that belong to none.
    Outside { junk: usize },
    /// Within a frame; so many of its bytes were looked at.
    Inside { scanned: usize },
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message.
    Whole(BytesMut),
    /// A frame that a new one began within: its end is lost.
    Cut,
}

/// What cannot be put right: the connection has to end.
#[derive(Debug, Error)]
pub(super) enum BrokenFrame {
    /// A message without an end, as far as one looks. Its beginning is still in the buffer.
    #[error("the message is longer than is taken")]
    TooLong,
    /// Bytes that belong to no frame.
    #[error("bytes came that are no MLLP frame")]
    Junk,
    /// The stream itself.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl MllpCodec {
    pub(super) fn new(message_bytes_max: usize, junk_bytes_max: usize) -> Self {
        Self { message_bytes_max, junk_bytes_max, place: Place::Outside { junk: 0 } }
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        matches!(self.place, Place::Inside { .. })
    }
}

impl Decoder for MllpCodec {
    type Item = Frame;
    type Error = BrokenFrame;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, BrokenFrame> {
        if let Place::Outside { junk } = self.place {
            let start = bytes.iter().position(|byte| *byte == START);
            let skipped = &bytes[..start.unwrap_or(bytes.len())];
            // What stands at the end of lines and frames is no junk.
            let strange = skipped.iter().filter(|byte| !matches!(**byte, CR | b'\n' | END | b' '));
            let junk = junk + strange.count();
            if junk > self.junk_bytes_max {
                return Err(BrokenFrame::Junk);
            }
            let Some(start) = start else {
                bytes.clear();
                self.place = Place::Outside { junk };
                return Ok(None);
            };
            bytes.advance(start + 1);
            self.place = Place::Inside { scanned: 0 };
        }
        let Place::Inside { scanned } = self.place else { return Ok(None) };
        let found = bytes[scanned..].iter().position(|byte| matches!(*byte, START | END));
        let length = found.map_or(bytes.len(), |at| scanned + at);
        if length > self.message_bytes_max {
            return Err(BrokenFrame::TooLong);
        }
        let Some(_) = found else {
            self.place = Place::Inside { scanned: length };
            return Ok(None);
        };
        let frame = bytes.split_to(length);
        if bytes.get_u8() == START {
            self.place = Place::Inside { scanned: 0 };
            return Ok(Some(Frame::Cut));
        }
        // The CR may be missing, or come later: it is then passed over between frames.
        if bytes.first() == Some(&CR) {
            bytes.advance(1);
        }
        self.place = Place::Outside { junk: 0 };
        Ok(Some(Frame::Whole(frame)))
    }
}

impl Encoder<&[u8]> for MllpCodec {
    type Error = BrokenFrame;

    fn encode(&mut self, message: &[u8], out: &mut BytesMut) -> Result<(), BrokenFrame> {
        out.reserve(message.len() + 3);
        out.extend_from_slice(&[START]);
        out.extend_from_slice(message);
        out.extend_from_slice(&[END, CR]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn codec() -> MllpCodec {
        MllpCodec::new(64, 8)
    }

    fn all(codec: &mut MllpCodec, bytes: &mut BytesMut) -> Result<Vec<Frame>, BrokenFrame> {
        let mut frames = Vec::new();
        while let Some(frame) = codec.decode(bytes)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn check(bytes: &[u8], expected: &[Option<&[u8]>]) {
        // However the stream is cut into pieces, the frames are the same.
        for size in [1, 3, bytes.len().max(1)] {
            let (mut codec, mut buffer, mut frames) = (codec(), BytesMut::new(), Vec::new());
            for piece in bytes.chunks(size) {
                buffer.extend_from_slice(piece);
                frames.extend(all(&mut codec, &mut buffer).expect("frames"));
            }
            let told: Vec<Option<&[u8]>> = frames
                .iter()
                .map(|frame| match frame {
                    Frame::Whole(bytes) => Some(&bytes[..]),
                    Frame::Cut => None,
                })
                .collect();
            assert_eq!(told, expected, "{bytes:?} in pieces of {size}");
        }
    }

    #[test]
    fn frames_are_taken_out_of_the_stream() {
        check(b"", &[]);
        check(b"\x0bMSH\x1c\x0d", &[Some(b"MSH")]);
        check(b"\x0ba\rb\x1c\x0d\x0bc\x1c\x0d", &[Some(b"a\rb"), Some(b"c")]);
        check(b"\x0ba", &[]);
        check(b"\x0b\x1c\x0d", &[Some(b"")]);
    }

    #[test]
    fn small_faults_of_framing_are_put_right() {
        check(b"\r\n junk\x0ba\x1c\x0d", &[Some(b"a")]);
        check(b"\x0ba\x1c\x0bb\x1c\x0d", &[Some(b"a"), Some(b"b")]);
        check(b"\x0ba\x1c\x0d\x0d\x0a\x0bb\x1c\x0d", &[Some(b"a"), Some(b"b")]);
        check(b"\x0bhalf\x0ba\x1c\x0d", &[None, Some(b"a")]);
    }

    #[test]
    fn what_never_ends_and_what_never_begins_is_refused() {
        let mut codec = codec();
        let mut bytes = BytesMut::from(&[b"\x0b", &[b'x'; 65][..]].concat()[..]);
        assert!(matches!(codec.decode(&mut bytes), Err(BrokenFrame::TooLong)));
        assert!(codec.is_inside());
        let mut whole = BytesMut::from(&[b"\x0b", &[b'x'; 64][..], b"\x1c\x0d"].concat()[..]);
        assert!(matches!(self::codec().decode(&mut whole), Ok(Some(Frame::Whole(_)))));
        let mut junk = BytesMut::from(&b"GET / HTTP/1.1"[..]);
        assert!(matches!(self::codec().decode(&mut junk), Err(BrokenFrame::Junk)));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back(messages in vec(vec(any::<u8>(), 0..60), 0..6), size in 1..40_usize) {
            let messages: Vec<Vec<u8>> = messages
                .into_iter()
                .map(|told| told.into_iter().filter(|byte| ![START, END].contains(byte)).collect())
                .collect();
            let mut stream = BytesMut::new();
            for message in &messages {
                codec().encode(message, &mut stream).expect("encoded");
            }
            let (mut codec, mut buffer, mut frames) = (codec(), BytesMut::new(), Vec::new());
            for piece in stream.chunks(size) {
                buffer.extend_from_slice(piece);
                frames.extend(all(&mut codec, &mut buffer).expect("frames"));
            }
            let expected: Vec<Frame> =
                messages.iter().map(|told| Frame::Whole(BytesMut::from(&told[..]))).collect();
            prop_assert_eq!(frames, expected);
            prop_assert!(!codec.is_inside());
        }

        #[test]
        fn no_stream_makes_it_panic_or_keep_more_than_its_bound(
            pieces in vec(vec(prop_oneof![Just(START), Just(END), Just(CR), any::<u8>()], 0..30), 0..30),
        ) {
            let (mut codec, mut buffer) = (codec(), BytesMut::new());
            for piece in pieces {
                buffer.extend_from_slice(&piece);
                if all(&mut codec, &mut buffer).is_err() {
                    break;
                }
                prop_assert!(buffer.len() <= 64);
            }
        }
    }
}
