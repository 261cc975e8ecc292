//! ECDSA signatures as ASN.1 DER (RFC 3279 §2.2.3), which Java, .NET and OpenSSL write where a JWS has r and s one
//! after the other (RFC 7518 §3.4). Nothing that is written so is accepted; it is recognised, to tell its sender.

/// `r` and `s`, 32 bytes each, if this is the DER of two numbers of P-256.
#[must_use]
pub fn raw(signature: &[u8]) -> Option<[u8; 64]> {
    let [0x30, length, numbers @ ..] = signature else { return None };
    // Two numbers of at most 33 bytes need no long form.
    if usize::from(*length) != numbers.len() {
        return None;
    }
    let (r, rest) = integer(numbers)?;
    let (s, rest) = integer(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let mut raw = [0; 64];
    raw[32_usize.checked_sub(r.len())?..32].copy_from_slice(r);
    raw[64_usize.checked_sub(s.len())?..].copy_from_slice(s);
    Some(raw)
}

/// The digits of the number at the beginning, without the zero that marks it as positive; and what follows.
fn integer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x02, length, rest @ ..] = bytes else { return None };
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
    (digits.len() <= 32).then_some((digits, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_become_sixty_four_bytes() {
        let der = [&[0x30, 39, 0x02, 33, 0][..], &[0x80; 32], &[0x02, 2, 0, 0x81]].concat();
        let raw = raw(&der).unwrap();
        assert_eq!((&raw[..32], &raw[32..63], raw[63]), (&[0x80; 32][..], &[0; 31][..], 0x81));
    }

    #[test]
    fn anything_else_is_none() {
        let good = [0x30, 6, 0x02, 1, 1, 0x02, 1, 1];
        assert!(raw(&good).is_some());
        for end in 0..good.len() {
            assert!(raw(&good[..end]).is_none(), "{end}");
        }
        assert!(raw(&[&good[..], &[0]].concat()).is_none());
        let long = [&[0x30, 72, 0x02, 35][..], &[1; 35], &[0x02, 33], &[1; 33]].concat();
        assert!(raw(&long).is_none());
        assert!(raw(&[0; 64]).is_none() && raw(&[0x30; 64]).is_none());
    }
}
