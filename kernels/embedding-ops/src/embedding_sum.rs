//! The embeddings of a BERT: rows of three tables, added.

use gpsimd::prelude::*;
use index_ops::add_rows;

fn sums(
    word: &TensorType,
    position: &TensorType,
    token_type: &TensorType,
    ids: &TensorType,
    positions: &TensorType,
    token_types: &TensorType,
) -> Result<TensorType, ShapeError> {
    let columns = word.expect_rank(2)?.dim(1);
    position.expect_rank(2)?.expect_dim(1, columns)?;
    token_type.expect_rank(2)?.expect_dim(1, columns)?;
    positions.expect_shape_of(ids)?;
    token_types.expect_shape_of(ids)?;
    let mut shape = ids.shape();
    shape.push(columns).map_err(|_| ShapeError::new("the output has more than 8 dimensions"))?;
    word.with_shape(&shape)
}

fn like_table(dy: &TensorType, ids: &TensorType, table: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_rank(ids.rank() + 1)?.expect_dim(ids.rank(), table.expect_rank(2)?.dim(1))?;
    (0..ids.rank()).try_for_each(|i| dy.expect_dim(i, ids.dim(i)).map(drop))?;
    Ok(*table)
}

/// y = `word[ids] + token_type[token_types] + position[positions]`.
///
/// word: `[V, H]`, position: `[P, H]`, `token_type`: `[K, H]`; ids, positions and `token_types`: of one shape, i32, each the number
/// of a row of its table; y: `[.., H]`. f32, bf16 or f16, added in f32, and rounded once. `word_padding` and so on:
/// the row of each table that has no gradient, -1 for none.
#[custom_op(
    shape = sums,
    gradient(word) = embedding_rows_backward(grad, ids, word, word_padding)
        except(row(word_padding), "the padding row of an embedding is not trained"),
    gradient(position) = embedding_rows_backward(grad, positions, position, position_padding)
        except(row(position_padding), "the padding row of an embedding is not trained"),
    gradient(token_type) = embedding_rows_backward(grad, token_types, token_type, token_type_padding)
        except(row(token_type_padding), "the padding row of an embedding is not trained"),
)]
#[expect(unused_variables, reason = "the paddings are the gradient's")]
#[expect(clippy::too_many_arguments, reason = "six operands, three scalars, an output")]
pub fn embedding_sum_forward<T: Float>(
    core: &Core,
    word: Input<T>,
    position: Input<T>,
    token_type: Input<T>,
    ids: Input<i32>,
    positions: Input<i32>,
    token_types: Input<i32>,
    word_padding: i32,
    position_padding: i32,
    token_type_padding: i32,
    y: Output<T>,
) -> OpResult {
    let (word, position) = (word.rows_at(&ids), position.rows_at(&positions));
    let token_type = token_type.rows_at(&token_types);
    // In transformers' order.
    core.map((&word, &position, &token_type), y, |(word, position, token_type)| {
        T::from_f32(word.to_f32() + token_type.to_f32() + position.to_f32())
    })
}

/// The gradient of one table: that of a row is the sum of dy over all places where it is named, in their order, as by
/// `index_ops::gather_rows_backward`; that of row `padding` is 0.
///
/// dy: `[.., H]`, ids: `[..]`, table, for its shape alone, and dtable: `[V, H]`. f32, bf16 or f16, summed in f32. `padding`: -1 for
/// none.
#[custom_op(shape = like_table)]
pub fn embedding_rows_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    ids: Input<i32>,
    table: Input<T>,
    padding: i32,
    dtable: Output<T>,
) -> OpResult {
    add_rows(core, None, (&dy, &ids), dtable, (table.dim(0), table.dim(1)), padding)
}
