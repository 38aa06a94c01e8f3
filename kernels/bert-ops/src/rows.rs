//! How a matrix of rows is cut into pieces that fit in TCM, for ops that meet every row with the same vector.

use core::ops::Range;

use gpsimd::prelude::*;

/// Part of a matrix: whole rows, or columns of one row.
pub(crate) struct Piece {
    /// Elements of the flattened matrix.
    pub(crate) elements: Range<usize>,
    /// Columns that they are in; every row of the piece has these.
    pub(crate) columns: Range<usize>,
}

/// The width in columns of the pieces of a matrix with rows of `hidden` elements, when a piece may have `room`: the
/// whole row if it fits, otherwise the row in equal parts, multiples of 16 lanes. At least 1, for the TCM to refuse.
pub(crate) fn width(hidden: usize, room: usize) -> usize {
    if hidden <= room {
        return hidden;
    }
    let parts = hidden.div_ceil(room.max(1));
    hidden.div_ceil(parts).next_multiple_of(LANES).min(room).max(1)
}

/// This core's pieces of a matrix of `len` elements in rows of `hidden`, of `width` columns and at most `room` elements.
///
/// Narrow rows are shared by rows, many to a piece. Wide ones are cut into columns and shared by pieces, all rows of the
/// first columns first, so that the vector's part for those columns stays in TCM.
pub(crate) fn pieces(core: &Core, len: usize, hidden: usize, width: usize, room: usize) -> impl Iterator<Item = Piece> {
    let rows = len.checked_div(hidden).unwrap_or(0);
    let is_whole = width >= hidden;
    let whole = is_whole.then(|| {
        let rows_in_piece = room.checked_div(hidden).unwrap_or(0).max(1);
        core.share(len, hidden)
            .chunks(rows_in_piece * hidden)
            .map(move |elements| Piece { elements, columns: 0..hidden })
    });
    let parts = (!is_whole).then(|| {
        core.share(hidden.div_ceil(width) * rows, 1).range().map(move |piece| {
            let (part, row) = (piece / rows, piece % rows);
            let columns = part * width..hidden.min((part + 1) * width);
            Piece { elements: row * hidden + columns.start..row * hidden + columns.end, columns }
        })
    });
    whole.into_iter().flatten().chain(parts.into_iter().flatten())
}
