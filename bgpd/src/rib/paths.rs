//! Paths of destinations that have more than one, in blocks of 2, 4, 8 …: nothing is allocated for a path, and growing
//! never moves what is there.

use super::SetId;

/// One neighbor's path to a destination: what it carries, and since when.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Path {
    /// The attribute set, which also knows the source.
    pub(crate) set: SetId,
    /// Seconds since the speaker began.
    pub(crate) since: u32,
}

/// Paths in one piece of memory: two to this power.
const CHUNK: usize = 12;

/// The number of a block among those of its size.
pub(super) type BlockId = u32;

/// Blocks of every size.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The blocks of two paths, of four, and so on.
    sizes: Vec<Size>,
}

/// Blocks of one size.
#[derive(Debug, Default)]
struct Size {
    chunks: Vec<Box<[Path]>>,
    /// How many blocks were ever given out.
    made: u32,
    free: Vec<BlockId>,
}

/// The size that has room for `len` paths, counted from 0.
fn size_for(len: usize) -> usize {
    (len.max(2).next_power_of_two().trailing_zeros() - 1) as usize
}

/// Paths in a block of this size: two to this power.
const fn room(size: usize) -> usize {
    size + 1
}

impl Blocks {
    /// The paths of a block.
    pub(super) fn get(&self, block: BlockId, len: usize) -> &[Path] {
        let size = size_for(len);
        let (chunk, at) = place(size, block);
        &self.sizes[size].chunks[chunk][at..at + len]
    }

    /// As [`Blocks::get`].
    pub(super) fn get_mut(&mut self, block: BlockId, len: usize) -> &mut [Path] {
        let size = size_for(len);
        let (chunk, at) = place(size, block);
        &mut self.sizes[size].chunks[chunk][at..at + len]
    }

    /// A block with these paths.
    pub(super) fn insert(&mut self, paths: &[Path]) -> BlockId {
        let block = self.take(size_for(paths.len()));
        self.get_mut(block, paths.len()).copy_from_slice(paths);
        block
    }

    /// Adds a path to a block of `len`; the block may be another afterwards.
    pub(super) fn push(&mut self, block: BlockId, len: usize, path: Path) -> BlockId {
        let block = self.resize(block, len, len + 1);
        self.get_mut(block, len + 1)[len] = path;
        block
    }

    /// Takes the path at `position` out of a block of `len`, at least three; the order of the others stays.
    pub(super) fn remove(&mut self, block: BlockId, len: usize, position: usize) -> BlockId {
        self.get_mut(block, len).copy_within(position + 1.., position);
        self.resize(block, len, len - 1)
    }

    /// Gives a block of `len` back.
    pub(super) fn free(&mut self, block: BlockId, len: usize) {
        self.sizes[size_for(len)].free.push(block);
    }

    fn resize(&mut self, block: BlockId, len: usize, wanted: usize) -> BlockId {
        let (before, now) = (size_for(len), size_for(wanted));
        if before == now {
            return block;
        }
        let kept = len.min(wanted);
        let other = self.take(now);
        let (from_chunk, from) = place(before, block);
        let (to_chunk, to) = place(now, other);
        for at in 0..kept {
            self.sizes[now].chunks[to_chunk][to + at] = self.sizes[before].chunks[from_chunk][from + at];
        }
        self.sizes[before].free.push(block);
        other
    }

    fn take(&mut self, size: usize) -> BlockId {
        if size >= self.sizes.len() {
            self.sizes.resize_with(size + 1, Size::default);
        }
        let blocks = &mut self.sizes[size];
        if let Some(block) = blocks.free.pop() {
            return block;
        }
        let block = blocks.made;
        blocks.made += 1;
        let (chunk, _) = place(size, block);
        if chunk == blocks.chunks.len() {
            blocks.chunks.push(vec![Path::default(); 1 << CHUNK.max(room(size))].into());
        }
        block
    }
}

/// Where a block lies: its chunk, and its first path in there.
fn place(size: usize, block: BlockId) -> (usize, usize) {
    let (block, in_chunk) = (block as usize, CHUNK.saturating_sub(room(size)));
    (block >> in_chunk, (block & ((1 << in_chunk) - 1)) << room(size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn path(set: u32) -> Path {
        Path { set, since: 0 }
    }

    proptest! {
        #[test]
        fn blocks_behave_like_vectors(steps in proptest::collection::vec((0..4usize, 0..3u8, any::<u32>()), 1..400)) {
            let mut blocks = Blocks::default();
            let mut real: Vec<(BlockId, usize)> = Vec::new();
            let mut model: Vec<Vec<Path>> = Vec::new();
            for number in 0..4 {
                real.push((blocks.insert(&[path(number), path(number)]), 2));
                model.push(vec![path(number), path(number)]);
            }
            for (which, step, value) in steps {
                let ((block, len), vector) = (&mut real[which], &mut model[which]);
                if step == 0 && *len > 2 {
                    let position = value as usize % *len;
                    *block = blocks.remove(*block, *len, position);
                    *len -= 1;
                    vector.remove(position);
                } else {
                    *block = blocks.push(*block, *len, path(value));
                    *len += 1;
                    vector.push(path(value));
                }
                for ((block, len), vector) in real.iter().zip(&model) {
                    prop_assert_eq!(blocks.get(*block, *len), vector.as_slice());
                }
            }
        }
    }

    #[test]
    fn a_block_larger_than_a_chunk_has_one_to_itself() {
        let mut blocks = Blocks::default();
        let many = vec![path(7); 3 << CHUNK];
        let (first, second) = (blocks.insert(&many), blocks.insert(&many));
        blocks.get_mut(first, many.len()).fill(path(8));
        assert_eq!(blocks.get(second, many.len()), many);
    }
}
