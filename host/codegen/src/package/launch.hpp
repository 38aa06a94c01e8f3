// ---- The ops ----

// Runs one core's part of a launch in a block of TCM that is the kernels' linear memory.
static torch::Tensor launch(const torch::Tensor* const* operands, u32 operand_count,
                            u32 (*run)(Instance&, u8* __restrict)) {
  void* const block = torch::neuron::tcm_malloc(TCM_BYTES + 64);
  if (block == nullptr) gpsimd_trap("the TCM pool is exhausted");
  u8* const memory = reinterpret_cast<u8*>((reinterpret_cast<uintptr_t>(block) + 63) & ~static_cast<uintptr_t>(63));
  Launch launch = {operands, operand_count, get_dst_tensor()};
  Instance w = {};
  w.memory = memory;
  w.memory_bytes = TCM_BYTES;
  w.host = &launch;
  instantiate(w, memory);
  if (run(w, memory) != 0) gpsimd_trap("the kernel failed");
  torch::neuron::tcm_free(block);
  return launch.output;
}

