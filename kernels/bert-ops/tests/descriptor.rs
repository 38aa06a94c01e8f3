//! What the macros say about the ops: the descriptor that Python, C++ and documentation are generated from.

use gpsimd_emulator::OpLibrary;

#[test]
fn the_descriptor_of_every_op_is_as_reviewed() {
    let library = OpLibrary::from_static(&bert_ops::OP_LIBRARY).expect("the library");
    insta::assert_json_snapshot!(library.descriptor(), {
        ".version" => "[version]",
        ".ops[].file" => insta::dynamic_redaction(|file, _| {
            let file = file.as_str().expect("a path").replace('\\', "/");
            file.rsplit_once("bert-ops/").expect("a file of this crate").1.to_owned()
        }),
    });
}
