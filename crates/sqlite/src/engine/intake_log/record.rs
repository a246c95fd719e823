//! What the log keeps of an accepted alert: its document, its place in the order, and the keys that it claims.

use alertcast_core::store::IntakeKey;

use super::keys::{KeyClaim, KeyDigest};

/// An accepted alert, as a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcceptedRecord {
    pub(crate) seq: i64,
    pub(crate) claims: Vec<KeyClaim>,
    pub(crate) document: Vec<u8>,
}

impl AcceptedRecord {
    pub(super) fn claims_of(keys: &[IntakeKey]) -> Vec<KeyClaim> {
        let claim = |key: &IntakeKey| KeyClaim { digest: KeyDigest::of(&key.key), until: key.until.millis() };
        keys.iter().map(claim).collect()
    }

    /// Appends it to a batch.
    pub(super) fn write(&self, batch: &mut Vec<u8>) {
        batch.extend_from_slice(&self.seq.to_le_bytes());
        batch.extend_from_slice(&(self.claims.len() as u64).to_le_bytes());
        for claim in &self.claims {
            batch.extend_from_slice(&claim.digest.0);
            batch.extend_from_slice(&claim.until.to_le_bytes());
        }
        batch.extend_from_slice(&(self.document.len() as u64).to_le_bytes());
        batch.extend_from_slice(&self.document);
    }

    /// How many bytes it takes in a batch.
    pub(super) const fn size(&self) -> usize {
        24 + self.claims.len() * 24 + self.document.len()
    }

    /// The records of a batch; none where they are no records.
    pub(super) fn read_all(mut batch: &[u8]) -> Option<Vec<Self>> {
        let mut records = Vec::new();
        while !batch.is_empty() {
            records.push(Self::read(&mut batch)?);
        }
        Some(records)
    }

    fn read(batch: &mut &[u8]) -> Option<Self> {
        let seq = i64::from_le_bytes(take(batch)?);
        let count = u64::from_le_bytes(take(batch)?);
        let claim = |_| Some(KeyClaim { digest: KeyDigest(take(batch)?), until: i64::from_le_bytes(take(batch)?) });
        let claims = (0..count).map(claim).collect::<Option<Vec<_>>>()?;
        let length = usize::try_from(u64::from_le_bytes(take(batch)?)).ok()?;
        let (document, rest) = batch.split_at_checked(length)?;
        *batch = rest;
        Some(Self { seq, claims, document: document.to_vec() })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_no_others() {
        let claims: Vec<_> = (0..3).map(|n| KeyClaim { digest: KeyDigest([n; 16]), until: i64::from(n) }).collect();
        let records: Vec<_> = (0..4_u8)
            .map(|n| AcceptedRecord {
                seq: i64::from(n),
                claims: claims[..usize::from(n)].to_vec(),
                document: vec![n; usize::from(n) * 9],
            })
            .collect();
        let mut batch = Vec::new();
        records.iter().for_each(|record| record.write(&mut batch));
        assert_eq!(batch.len(), records.iter().map(AcceptedRecord::size).sum::<usize>());
        assert_eq!(AcceptedRecord::read_all(&batch), Some(records.clone()));
        for length in 0..batch.len() {
            let read = AcceptedRecord::read_all(&batch[..length]);
            assert!(read.is_none_or(|read| read.len() < records.len()), "{length}");
        }
    }
}
